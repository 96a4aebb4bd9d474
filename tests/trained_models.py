"""Small checkpoints without a training run: drawn variables, with statistics as if trained."""

import config_files
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common.durations import Clock
from vireid_jax.config.parts import make_method
from vireid_jax.runtime import compilation
from vireid_jax.training import optim
from vireid_jax.training import state as state_lib
from vireid_jax.training.checkpoint import Checkpoints

IDENTITIES = [3, 5, 8]


def save(workdir, name="agw", *, step=7, seed=0, change=None, **options):
  """Writes a checkpoint of a tiny network; returns (config, method, variables).

  Args:
    workdir: receives it.
    name: of the method; or a dotted module.
    step: of the checkpoint.
    seed: of the variables.
    change: applied to the config kept with it, a plain dictionary.
    **options: of the method.
  """
  config = config_files.load("agw_synthetic" if "." in name else f"{name}_synthetic", "smoke")
  if "." in name:
    config.method = {"name": name, **methods.defaults(name)}
  config.method.update(options)
  method = make_method(config, num_classes=len(IDENTITIES), steps_per_epoch=4)
  height, width = config.data.image_size
  images = jnp.zeros((2, height, width, 3))
  batch = {"visible": images, "infrared": images, "label": jnp.zeros(2, jnp.int32)}
  if methods.needs_second_view(config.method):
    batch["visible_2"] = images
  variables = compilation.run_once(lambda: method.init(jax.random.key(seed), batch))
  variables = _lived_in(variables, seed)
  schedule = optim.make_schedule(config.optim, Clock(4, 16))
  state = state_lib.create(variables, optim.create(config.optim, schedule))
  kept = config_lib.to_dict(config)
  if change:
    change(kept)
  checkpoints = Checkpoints(workdir)
  checkpoints.save(step, state, {"config": kept, "identities": IDENTITIES, "steps_per_epoch": 4})
  checkpoints.close()
  return config, method, variables


def _lived_in(variables, seed):
  """Moves statistics away from 0 and 1, so that whoever leaves them out gets other features."""
  rng = np.random.default_rng(seed)

  def move(values):
    return values * rng.uniform(0.5, 2.0, values.shape).astype(values.dtype) + 0.1

  return {**variables, "batch_stats": jax.tree.map(move, variables["batch_stats"])}


def pictures(folder, count, *, seed=0, size=(60, 30), suffix=".png"):
  """Writes pictures of random pixels, 0.png ...; returns their paths."""
  folder.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(seed)
  paths = [folder / f"{number}{suffix}" for number in range(count)]
  for path in paths:
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
  return paths
