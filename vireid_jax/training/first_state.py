"""The initial state of a run without a checkpoint."""

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from vireid_jax.common.records import MODALITIES, SECOND_VIEW
from vireid_jax.methods.base import Method
from vireid_jax.runtime import compilation
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import state
from vireid_jax.training.state import TrainState

# Two pairs are enough to draw variables: their shapes do not depend on the batch.
PAIRS = 2


def abstract(
  image_size: tuple[int, int],
  seed: int,
  method: Method,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
) -> TrainState:
  """Returns the shapes, dtypes and shardings of the state."""
  shapes = jax.eval_shape(lambda: _draw(image_size, seed, method, optimizer))
  sharding = mesh_lib.replicated(mesh)
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def abstract_variables(image_size: tuple[int, int], seed: int, method: Method):
  """Returns the shapes and dtypes of a method's variables."""
  return jax.eval_shape(lambda: _variables(image_size, seed, method))


def draw_random(
  image_size: tuple[int, int],
  seed: int,
  method: Method,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
) -> TrainState:
  """Draws a random state, without pretrained weights.

  It runs under jit, so that no eager alias of a donated buffer exists.
  """
  sharding = mesh_lib.replicated(mesh)
  return compilation.run_once(
    lambda: _draw(image_size, seed, method, optimizer), out_shardings=sharding
  )


def _draw(
  image_size: tuple[int, int], seed: int, method: Method, optimizer: optax.GradientTransformation
):
  return state.create(_variables(image_size, seed, method), optimizer)


def _variables(image_size: tuple[int, int], seed: int, method: Method):
  height, width = image_size
  images = jnp.zeros((PAIRS, height, width, 3))
  names = (*MODALITIES, SECOND_VIEW) if getattr(method, "needs_second_view", False) else MODALITIES
  batch = {**dict.fromkeys(names, images), "label": jnp.zeros(PAIRS, jnp.int32)}
  return method.init(jax.random.key(seed), batch)
