"""The training step of all methods."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array

from vireid_jax.common.types import Batch
from vireid_jax.data.training.augment import Augment
from vireid_jax.methods.base import LossOutput, Method
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import gradients as gradients_lib
from vireid_jax.training.state import TrainState

AUGMENT_STREAM, METHOD_STREAM, PAIR_STREAM, MIX_STREAM = range(4)
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Array]]]


def make_train_step(
  method: Method,
  optimizer: optax.GradientTransformation,
  augment: Augment,
  *,
  seed: int,
  augment_pair: Augment | None = None,
  gradient: gradients_lib.Gradient | None = None,
) -> TrainStep:
  """Builds the pure step: (state, uint8 batch) -> (state, scalars).

  All randomness is a function of (seed, state.step), so a step can be replayed.

  Args:
    method: Method whose loss is minimised.
    optimizer: Optimiser; its state is `TrainState.opt_state`.
    augment: (key, batch of uint8 images) -> batch of normalised float images.
    seed: Seed of the run.
    augment_pair: (key, batch of uint8 images) -> batch of uint8 images, applied before the method's
      optional `mix` and before `augment`.
    gradient: Function from `gradients.make`; None for no blocks and no rematerialisation.

  Returns:
    The step, not yet jitted. Its scalars are 'loss', 'loss/<term>', the method's metrics and
    'grad_norm'.
  """

  gradient = gradient or gradients_lib.make(method)

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Array]]:
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    if augment_pair is not None:
      batch = augment_pair(jax.random.fold_in(key, PAIR_STREAM), batch)
    if hasattr(method, "mix"):
      mix_key = jax.random.fold_in(key, MIX_STREAM)
      batch = method.mix(state.variables, batch, rngs=mix_key, step=state.step)
    batch = augment(jax.random.fold_in(key, AUGMENT_STREAM), batch)
    facts = {name: batch[name] for name in ("label", "modality") if name in batch}
    batch = batch | {name: mesh_lib.on_all_devices(values) for name, values in facts.items()}
    method_key = jax.random.fold_in(key, METHOD_STREAM)
    output, gradients = gradient(state.variables, batch, method_key, state.step)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    state = TrainState(state.step + 1, params, output.collections, opt_state)
    return state, _scalars(output, gradients)

  return step


def _scalars(output: LossOutput, gradients) -> dict[str, Array]:
  terms = {f"loss/{name}": value for name, value in output.terms.items()}
  scalars = {
    "loss": output.loss,
    **terms,
    **output.metrics,
    "grad_norm": optax.tree.norm(gradients),
  }
  return {name: jnp.asarray(value, jnp.float32) for name, value in scalars.items()}
