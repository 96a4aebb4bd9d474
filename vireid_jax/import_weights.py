"""Makes a checkpoint of our own from the authors' PyTorch weights.

python -m vireid_jax.import_weights --config configs/mpanet_sysu.py --weights FILE --workdir DIR

`--mode=evaluate` and continued training read it like any other; it stands at step 0. The data set
must be prepared: its training identities and the length of an epoch are kept with the weights.
"""

from vireid_jax import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import pathlib

import jax
import jax.numpy as jnp
from absl import flags, logging
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import main as main_lib
from vireid_jax import methods, optim, storage, train_state, workdir_lock
from vireid_jax.checkpoint import FOLDER, Checkpoints
from vireid_jax.data import pipeline, rendered, sampler
from vireid_jax.data.source import Dataset
from vireid_jax.durations import Clock
from vireid_jax.errors import UserError, printable
from vireid_jax.models import convert

_WEIGHTS = flags.DEFINE_string("weights", None, "File or hub name of the authors' weights.")


def import_weights(config: ConfigDict, source: str, workdir: pathlib.Path) -> list[str]:
  """Writes a checkpoint of step 0 with the weights of a PyTorch model.

  Args:
    config: of the method and data set that the weights were trained for.
    source: see `convert.load_weights`.
    workdir: receives the checkpoint; must not hold any.

  Returns:
    The names of tensors that were left out on purpose.

  Raises:
    UserError: no PyTorch names are known for this method, the weights do not fit, or the workdir
      holds checkpoints.
  """
  config_lib.validate(config)
  _refuse_used(workdir)
  table = convert.name_table(config.method.name)
  weights = convert.load_weights(source)
  index, batches = _training_data(config)
  method = methods.create(
    config.method, num_classes=len(index), steps_per_epoch=batches.steps_per_epoch
  )
  try:
    variables, ignored = convert.import_weights(
      abstract_variables(config, method), weights, table, as_published=True
    )
  except UserError as error:
    raise UserError(f"{printable(source)}: {error}") from None
  optimizer = optim.create(config.optim, _schedule(config, batches))
  state = train_state.create(jax.tree.map(jnp.asarray, variables), optimizer)
  meta = {
    "config": config_lib.to_dict(config),
    "identities": index.identities.tolist(),
    "steps_per_epoch": batches.steps_per_epoch,
  }
  # A signal waits: a checkpoint is written in a second, and half of one is nothing.
  with interrupts.deferred(), storage.explained(workdir):
    _save(state, meta, config, workdir)
  return ignored


def _training_data(config: ConfigDict):
  """Returns the identities and the sampler, without decoding an image."""
  rendered.ensure(config.data)
  dataset = Dataset(config.data.name, rendered.data_dir(config.data))
  images = dataset.load(*(config_lib.part(config, part) for part in config.data.train))
  if config.data.drop_unpaired:
    images = pipeline.drop_unpaired(images)
  index = sampler.IdentityIndex(images.records)
  return index, sampler.create(seed=config.seed, index=index, **config.sampler.to_dict())


def abstract_variables(config: ConfigDict, method: methods.Method):
  """Returns the shapes of a method's variables."""
  height, width = config.data.image_size
  images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
  batch = {"visible": images, "infrared": images, "label": jax.ShapeDtypeStruct((2,), jnp.int32)}
  return jax.eval_shape(method.init, jax.random.key(config.seed), batch)


def _schedule(config: ConfigDict, batches) -> optim.Schedule:
  pairs = config.sampler.identities * config.sampler.images
  return optim.make_schedule(config.optim, Clock(batches.steps_per_epoch, 2 * pairs))


def _refuse_used(workdir: pathlib.Path) -> None:
  """Raises UserError for a workdir with checkpoints, before anything else is read."""
  if not (workdir / FOLDER).exists():
    return
  checkpoints = Checkpoints(workdir, keep=None)
  latest = checkpoints.latest()
  checkpoints.close()
  if latest is not None:
    raise UserError(f"{workdir} holds checkpoints already; choose another --workdir")


def _save(state, meta: dict, config: ConfigDict, workdir: pathlib.Path) -> None:
  storage.make_workdir(workdir)
  with workdir_lock.hold(workdir):
    _refuse_used(workdir)  # another import may have been faster
    checkpoints = Checkpoints(workdir, keep=config.checkpoint.keep)
    checkpoints.save(0, state, meta)
    checkpoints.close()
    config_lib.save(config, workdir / "config.json")


def main(argv: list[str]) -> int:
  """Runs the command line; returns the exit code."""
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  config = main_lib.read_config()
  if not _WEIGHTS.value:
    raise UserError("--weights is required; for example --weights model.pth")
  workdir = main_lib.workdir("-imported")
  logging.set_verbosity(logging.ERROR)
  ignored = import_weights(config, _WEIGHTS.value, workdir)
  table = convert.name_table(config.method.name)
  reason = f" ({table.ignored_because}; counters of batches)" if ignored else ""
  said = f"{workdir}: checkpoint 0 from {_WEIGHTS.value}; {len(ignored)} tensors unused{reason}"
  print(printable(said))
  return 0


if __name__ == "__main__":
  main_lib.run(main)
