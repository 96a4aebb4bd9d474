"""Initialises a run from ImageNet weights, for any method."""

import sys

import jax
import optax
from jax.sharding import Mesh, Sharding
from ml_collections import ConfigDict

from vireid_jax.common.errors import UserError, printable
from vireid_jax.experiment import notices
from vireid_jax.methods.base import Method
from vireid_jax.models import convert
from vireid_jax.models.weights import hub
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training.first_state import draw_random
from vireid_jax.training.state import TrainState

FULL_WIDTH = 64


def fill(
  state: TrainState,
  config: ConfigDict,
  sharding: Sharding,
  tell: notices.Tell = notices.show,
) -> TrainState:
  """Loads `config.pretrained` into all ResNet stages of a new state.

  All streams start from the same weights. Modules without pretrained weights, such as heads and
  attention, keep their random values.

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
  table = convert.name_table("torchvision")
  try:
    variables, ignored = convert.import_weights(state.variables, weights, table)
  except UserError as error:
    raise UserError(f"config.pretrained = {printable(config.pretrained)}: {error}") from None
  found = convert.shares(state.variables, weights, table, ignored)
  # The step donates its state, which must not alias NumPy's memory.
  variables = jax.tree.map(lambda x: jax.device_put(x, sharding, may_alias=False), variables)
  params = variables.pop("params")
  if jax.process_index() == 0:
    print(f"ResNet weights: {printable(config.pretrained)}", flush=True)
  if found.notable:
    tell("weights", f"of {printable(config.pretrained)}: {found}")
  return TrainState(state.step, params, variables, state.opt_state)


def _warn(config: ConfigDict) -> None:
  # There are no ImageNet weights for the narrow networks of tests and quick starts.
  if config.method.get("width", FULL_WIDTH) == FULL_WIDTH and jax.process_index() == 0:
    print(
      "warning: the run starts from random values; published results need ImageNet weights: "
      f"--config.pretrained=FILE or {hub.EXAMPLE} (docs/weights.md)",
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
