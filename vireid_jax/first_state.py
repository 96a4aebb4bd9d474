"""The state that a run starts from when there is no checkpoint."""

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vireid_jax import compilation, notices, train_state, warm_start
from vireid_jax import mesh as mesh_lib
from vireid_jax.methods.base import Method
from vireid_jax.train_state import TrainState

# Two pairs are enough to draw variables: no shape of theirs depends on the batch.
PAIRS = 2


def abstract(
  config: ConfigDict, method: Method, optimizer: optax.GradientTransformation, mesh: Mesh
) -> TrainState:
  """Returns shapes, dtypes and shardings of the state."""
  shapes = jax.eval_shape(lambda: _draw(config, method, optimizer))
  sharding = mesh_lib.replicated(mesh)
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def abstract_variables(config: ConfigDict, method: Method):
  """Returns the shapes and dtypes of a method's variables."""
  return jax.eval_shape(lambda: _variables(config, method))


def draw(
  config: ConfigDict,
  method: Method,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  tell: notices.Tell = notices.show,
) -> TrainState:
  """Draws the state and fills in ImageNet weights where the config names some.

  `tell` hears of weights that did not find their place; see `vireid_jax.notices`.
  """
  state = draw_random(config, method, optimizer, mesh)
  return warm_start.fill(state, config, mesh_lib.replicated(mesh), tell)


def draw_random(
  config: ConfigDict, method: Method, optimizer: optax.GradientTransformation, mesh: Mesh
) -> TrainState:
  """Draws the state, whatever weights the config names.

  Under jit, so that no eager alias of a later donated buffer exists.
  """
  sharding = mesh_lib.replicated(mesh)
  return compilation.run_once(lambda: _draw(config, method, optimizer), out_shardings=sharding)


def _draw(config: ConfigDict, method: Method, optimizer: optax.GradientTransformation):
  return train_state.create(_variables(config, method), optimizer)


def _variables(config: ConfigDict, method: Method):
  height, width = config.data.image_size
  images = jnp.zeros((PAIRS, height, width, 3))
  batch = {"visible": images, "infrared": images, "label": jnp.zeros(PAIRS, jnp.int32)}
  return method.init(jax.random.key(config.seed), batch)
