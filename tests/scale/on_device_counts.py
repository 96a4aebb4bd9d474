"""Compares a method's loss, gradients and collections on 1, 2, 4 and 8 devices, in float64.

Run by test_device_counts in a process of its own: the number of devices is fixed when jax starts.
Prints one JSON line: the largest differences, and the collectives in the compiled training step.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common.durations import Clock
from vireid_jax.data.training import augment
from vireid_jax.models.numerics import Numerics
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.speed.plan import listing, waste
from vireid_jax.training import optim
from vireid_jax.training import state as state_lib
from vireid_jax.training import step as step_lib

COUNTS = (1, 2, 4, 8)
SIZE = (48, 24)


def make_method(name, options):
  """Makes the method with these options, at the smallest size that has all its parts."""
  known = methods.defaults(name)
  options |= {key: value for key, value in methods.smallest(name).items() if key in known}
  return methods.create(
    {"name": name, **options}, num_classes=5, steps_per_epoch=3, numerics=Numerics("float64")
  )


def make_batch(pairs=8, images=2):
  """Draws uint8 pairs, and masks for methods that read them."""
  rng = np.random.default_rng(0)
  batch = {"label": np.repeat(np.arange(pairs // images), images).astype(np.int32)}
  for name in ("visible", "infrared"):
    batch[name] = rng.integers(0, 256, (pairs, *SIZE, 3), np.uint8)
    batch[f"{name}_mask"] = rng.integers(0, 2, (pairs, *SIZE, 1), np.uint8) * np.uint8(255)
  batch["visible_2"] = rng.integers(0, 256, (pairs, *SIZE, 3), np.uint8)
  return batch


def split(batch, mesh):
  """Puts the rows on the devices."""
  return {name: jax.device_put(rows, mesh_lib.by_rows(mesh)) for name, rows in batch.items()}


def differentiate(method, variables, batch, mesh):
  """Returns (terms, gradients, collections) of one pass on a mesh, as NumPy arrays."""
  others = {key: value for key, value in variables.items() if key != "params"}

  def compute(params, others, batch):
    output = method.loss(
      {"params": params, **others}, batch, rngs=jax.random.key(1), step=jnp.int32(1)
    )
    return output.loss, (output.terms, output.collections)

  function = jax.jit(
    jax.value_and_grad(compute, has_aux=True), out_shardings=mesh_lib.replicated(mesh)
  )
  state = jax.device_put((variables["params"], others), mesh_lib.replicated(mesh))
  with jax.set_mesh(mesh):
    (loss, aux), gradients = function(*state, split(batch, mesh))
  return jax.tree.map(np.asarray, {"loss": loss, "aux": aux, "gradients": gradients})


def largest_difference(one, other):
  """Returns the largest difference of any number, relative to those above 1."""
  leaves = zip(*(map(np.float64, jax.tree.leaves(tree)) for tree in (one, other)), strict=True)
  found = [np.max(np.abs(a - b) / np.maximum(np.abs(a), 1), initial=0.0) for a, b in leaves]
  assert all(np.isfinite(found))
  return float(max(found))


def collectives(name, method, variables, batch, mesh):
  """Describes the collectives in the compiled training step, augmentation included.

  Returns the number of sums, the dtype of each gathered array, and what is neither.
  """
  config = config_lib.default_config(name, "vireid_synthetic")
  optimizer = optim.create(config.optim, optim.make_schedule(config.optim, Clock(1, 1)))
  step = step_lib.make_train_step(method, optimizer, augment.make_augment(config.augment), seed=0)
  state = jax.eval_shape(lambda: state_lib.create(variables, optimizer))
  replicated = mesh_lib.replicated(mesh)
  state = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated), state)
  with jax.set_mesh(mesh):  # as compilation.CompiledStep does
    compiled = jax.jit(step, out_shardings=replicated).lower(state, split(batch, mesh)).compile()
  text = compiled.as_text()
  gathered = [each.shape for kind, each in listing.each_collective(text) if kind == "all-gather"]
  return {
    "sums": sum(kind in waste.SUMS for kind, _ in listing.each_collective(text)),
    "gathers": [kind for shape in gathered for kind, _ in listing.arrays(shape)],
    "unwanted": waste.unwanted_collectives(text),
  }


def main(name, options):
  """Prints the comparison of a method with options, which are given as JSON."""
  jax.config.update("jax_enable_x64", True)
  meshes = {count: mesh_lib.make_mesh(jax.devices()[:count]) for count in COUNTS}
  method, pixels = make_method(name, json.loads(options)), make_batch()
  if getattr(method, "any_modality", False):
    pixels["modality"] = np.int32([[0, 1], [1, 1], [1, 0], [0, 0]] * 2)
  floats = {
    key: rows if key in ("label", "modality") or key.endswith("mask") else rows / 127.5 - 1
    for key, rows in pixels.items()
  }
  variables = jax.jit(method.init)(jax.random.key(0), jax.tree.map(jnp.asarray, floats))
  variables = jax.tree.map(np.asarray, variables)
  results = {
    count: differentiate(method, variables, floats, mesh) for count, mesh in meshes.items()
  }
  differences = {count: largest_difference(results[1], results[count]) for count in COUNTS[1:]}
  found = collectives(name, method, variables, pixels, meshes[COUNTS[-1]])
  scale = max(np.abs(leaf).max() for leaf in jax.tree.leaves(results[1]["gradients"]))
  dtypes = sorted({str(leaf.dtype) for leaf in jax.tree.leaves(results[1]["gradients"])})
  print(
    json.dumps(
      {
        "differences": differences,
        "largest_gradient": float(scale),
        "dtypes": dtypes,
        "collectives": found,
        "columns": sum(name in pixels for name in ("label", "modality")),
      }
    )
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
