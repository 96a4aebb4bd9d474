"""Flags, configs, random images and new networks for the benchmarks of whole networks."""

import argparse

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.common.errors import UserError
from vireid_jax.config import arguments, parts
from vireid_jax.config.parts import make_method
from vireid_jax.methods.base import Method
from vireid_jax.models.numerics import DTYPES, Numerics
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import gradients

STEPS_PER_EPOCH = 100
EAGER, COMPILED = BASELINES = ("torch", "torch_compile")


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags that choose the networks."""
  arguments.add_configs(parser)
  parser.add_argument(
    "--identities", type=int, default=395, help="number of classes; default SYSU-MM01's 395"
  )
  parser.add_argument("--dtype", choices=DTYPES, help="compute dtype; default: the config's")
  parser.add_argument(
    "--image-size",
    type=int,
    nargs=2,
    metavar=("HEIGHT", "WIDTH"),
    help="size of the network's input; default: the config's",
  )


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags for timing networks."""
  add_network_arguments(parser)
  parser.add_argument("--repeats", type=int, default=5, help="timed calls of each side")
  parser.add_argument(
    "--baseline",
    action="append",
    choices=BASELINES,
    default=[],
    help="also time the two-stream baseline in PyTorch, eager or compiled; may be given twice",
  )


def add_batch_argument(parser: argparse.ArgumentParser) -> None:
  """Adds the flag that changes the size of a training batch."""
  parser.add_argument(
    "--batch-pairs", type=int, help="image pairs per batch; default: the config's"
  )


def load(path: str, options: argparse.Namespace) -> ConfigDict:
  """Reads a config and applies the flags."""
  config = config_lib.load(path, options.overrides)
  if options.dtype:
    config.numerics.dtype = options.dtype
  if options.image_size:
    config.data.image_size = tuple(options.image_size)
  if getattr(options, "batch_pairs", None):
    config.sampler.num_identities = _identities(options.batch_pairs, config.sampler.num_instances)
  if hasattr(options, "batch_pairs"):
    gradients.check(config.train.remat, config.train.accumulate, config.sampler.num_identities)
  return config


def _identities(pairs: int, images: int) -> int:
  if pairs % images or pairs // images < 2:
    raise UserError(
      f"--batch-pairs {pairs} does not give at least two identities with the config's "
      f"sampler.num_instances = {images} pairs each; choose "
      f"a multiple of {images}, at least {2 * images}"
    )
  return pairs // images


def create_method(config: ConfigDict, identities: int) -> Method:
  """Builds the config's method."""
  return make_method(config, num_classes=identities, steps_per_epoch=STEPS_PER_EPOCH)


def create_optimizer(config: ConfigDict, method: Method) -> optax.GradientTransformation:
  """Builds the config's optimiser for a method."""
  return parts.make_optimizer(config, method, parts.make_clock(config, STEPS_PER_EPOCH))[1]


def random_images(config: ConfigDict, count: int) -> np.ndarray:
  """Returns uint8 [count, h, w, 3]."""
  shape = (count, *config.data.image_size, 3)
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def random_batch(config: ConfigDict, identities: int) -> dict[str, np.ndarray]:
  """Returns a random training batch of the config's size; see `common.types.Batch`."""
  people, images = config.sampler.num_identities, config.sampler.num_instances
  both = random_images(config, 2 * people * images)
  batch = dict(zip(("visible", "infrared"), np.split(both, 2), strict=True))
  if methods.needs_masks(config.method):
    ones = np.full((*batch["visible"].shape[:3], 1), 255, np.uint8)
    batch |= {"visible_mask": ones, "infrared_mask": ones}
  labels = np.random.default_rng(0).choice(identities, people, replace=False)
  return {**batch, "label": np.repeat(labels, images).astype(np.int32)}


def on_devices(arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
  """Moves arrays to the devices, split by rows."""
  return mesh_lib.to_global(arrays, mesh_lib.make_mesh())


def compute_dtype(config: ConfigDict) -> str:
  """Returns the dtype that the config's network computes in on this backend."""
  return str(Numerics(dtype=config.numerics.dtype).compute_dtype)
