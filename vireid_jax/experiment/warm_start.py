"""Initialises a run from ImageNet weights, for any method."""

import sys

import jax
import numpy as np
import optax
from jax.sharding import Mesh, Sharding
from ml_collections import ConfigDict

from vireid_jax.common.errors import UserError, printable
from vireid_jax.config import parts
from vireid_jax.experiment import notices
from vireid_jax.methods.base import Method
from vireid_jax.models import convert
from vireid_jax.models.weights import hub
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training.first_state import draw_random
from vireid_jax.training.state import TrainState

FULL_WIDTH = 64
KINDS = {"torchvision": "ResNet"}


def fill(
  state: TrainState,
  config: ConfigDict,
  sharding: Sharding,
  tell: notices.Tell = notices.show,
) -> TrainState:
  """Loads `config.pretrained` into all ResNet stages, or the Vision Transformer, of a new state.

  All streams start from the same weights. Position embeddings are resized to the grid of patches.
  Modules without pretrained weights, such as heads and attention, keep their random values.

  Args:
    state: State at step 0.
    config: Config of the run.
    sharding: Sharding of the new arrays.
    tell: Function that shows a notice about the weights.

  Returns:
    The state; unchanged without `config.pretrained`, with a warning for a network of full width.

  Raises:
    UserError: The weights cannot be read, or are those of another network.
  """
  if not config.pretrained:
    _warn(config)
    return state
  weights = convert.load_weights(config.pretrained)
  table = convert.pretrained_table(weights)
  try:
    weights = _fit_positions(weights, config)
    variables, ignored = convert.import_weights(state.variables, weights, table)
  except UserError as error:
    raise UserError(f"config.pretrained = {printable(config.pretrained)}: {error}") from None
  found = convert.shares(state.variables, weights, table, ignored)
  # The step donates its state, which must not alias NumPy's memory.
  variables = jax.tree.map(lambda x: jax.device_put(x, sharding, may_alias=False), variables)
  params = variables.pop("params")
  if jax.process_index() == 0:
    print(f"{KINDS.get(table.name, 'ViT')} weights: {printable(config.pretrained)}", flush=True)
  if found.notable:
    tell("weights", f"of {printable(config.pretrained)}: {found}")
  return TrainState(state.step, params, variables, state.opt_state)


def _fit_positions(weights: dict[str, np.ndarray], config: ConfigDict) -> dict[str, np.ndarray]:
  """Returns weights with position embeddings for the config's image size, if it has patches."""
  grid = _token_grid(config)
  return convert.resize_positions(weights, grid) if grid else weights


def _token_grid(config: ConfigDict) -> tuple[int, int] | None:
  method = parts.make_method(config, num_classes=2, steps_per_epoch=1)
  find = getattr(method, "token_grid", None)
  return find and find(tuple(config.data.image_size))


def _warn(config: ConfigDict) -> None:
  # There are no ImageNet weights for the narrow networks of tests and quick starts.
  if config.method.get("width", FULL_WIDTH) == FULL_WIDTH and jax.process_index() == 0:
    example = hub.VIT_EXAMPLE if _token_grid(config) else hub.EXAMPLE
    print(
      "warning: the run starts from random values; published results need ImageNet weights: "
      f"--config.pretrained=FILE or {example} (docs/weights.md)",
      file=sys.stderr,
      flush=True,
    )


def draw(
  config: ConfigDict,
  method: Method,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  tell: notices.Tell = notices.show,
) -> TrainState:
  """Draws the initial state and loads pretrained weights, if the config names any.

  `tell` shows a notice about unused weights; see `vireid_jax.experiment.notices`.
  """
  state = draw_random(config.data.image_size, config.seed, method, optimizer, mesh)
  return fill(state, config, mesh_lib.replicated(mesh), tell)
