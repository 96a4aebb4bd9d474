"""Training steps of the authors' models, repeated by our step and optimisers."""

import dataclasses
import functools

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vireid_jax.methods.base import Method
from vireid_jax.models import convert
from vireid_jax.training import optim
from vireid_jax.training import state as state_lib
from vireid_jax.training import step as step_lib


@dataclasses.dataclass
class Trained:
  """What a few steps gave.

  Attributes:
    method: that was trained.
    start: its variables before the first step.
    gradients: of the first step, like `start['params']`.
    scalars: of each step.
    variables: after the last step.
  """

  method: Method
  start: dict
  gradients: dict
  scalars: list[dict]
  variables: dict

  def losses(self, terms):
    """Returns the total and the unweighted terms of each step [steps, 1 + terms].

    Args:
      terms: our name of a term -> its weight in our loss.
    """
    rows = [
      [step["loss"], *(step[f"loss/{term}"] / weight for term, weight in terms.items())]
      for step in self.scalars
    ]
    return np.array(rows)

  def features(self, images, modality, place="after_neck"):
    """Returns features of the reference's eval images [n, 3, h, w] of one modality."""
    method = dataclasses.replace(self.method, feature=place)
    embed = jax.jit(functools.partial(method.embed, modality=modality))
    return np.asarray(embed(self.variables, golden_models.images(images, np.float64)))


def train(name, reference, batches, optimizer, *, dtype="float64", **options):
  """Trains the official weights over some batches.

  Args:
    name: of the method.
    reference: file of reference numbers.
    batches: of the reference.
    optimizer: the authors'.
    dtype: of the network.
    **options: see `golden_models.official`.
  """
  # In double precision XLA's own convolutions are loops; products are far faster.
  method, start, _ = golden_models.official(
    name, dtype, conv_impl="dot", reference=reference, **options
  )
  optimizer = optax.chain(_keep_gradients(), optimizer)
  step = step_lib.make_train_step(method, optimizer, lambda key, batch: batch, seed=0)
  # Donated and copied to the host: full-size states in double precision need gigabytes.
  step = jax.jit(step, donate_argnums=0)
  state = state_lib.create(jax.tree.map(jnp.array, start), optimizer)
  gradients, scalars = None, []
  for batch in batches:
    state, values = step(state, batch)
    gradients = jax.device_get(state.opt_state[0]) if gradients is None else gradients
    scalars.append(jax.device_get(values))
  return Trained(method, start, gradients, scalars, jax.device_get(state.variables))


def _keep_gradients():
  """A link of an optimiser's chain whose state is the last gradients."""
  return optax.GradientTransformation(
    lambda params: jax.tree.map(jnp.zeros_like, params),
    lambda updates, state, params: [updates] * 2,
  )


def sgd(reference):
  """AGW's optimiser, with the rates of the reference."""
  config = {"name": "sgd", "weight_decay": 5e-4, "momentum": 0.9, "nesterov": True, "no_decay": ()}
  config["lr_multipliers"] = {"backbone": float(reference["base_lr"] / reference["head_lr"])}
  return optim.create(config, lambda step: jnp.asarray(float(reference["head_lr"])))


def assert_gradient_norms(trained, name, reference, key="step1_grad_norms", *, rtol):
  """Asserts the norm of every parameter's gradient in the first step.

  Norms below 1e-9 of the largest, zeros in theory, are only asserted to be that small.
  """
  norms = _norms({"params": trained.gradients}, name)
  _assert_norms(norms, reference["step1_grad_names"], reference[key], rtol, small=1e-9)


def assert_final_norms(trained, name, reference, key="final_norms", *, rtol):
  """Asserts the norm of every tensor that we have after the last step."""
  norms = _norms(trained.variables, name)
  expected = dict(zip(reference["final_names"], reference[key], strict=True))
  assert norms.keys() <= expected.keys()
  for tensor, norm in norms.items():
    np.testing.assert_allclose(norm, expected[tensor], rtol=rtol, err_msg=tensor)


def assert_update_norms(trained, name, reference, key="update_norms", *, rtol):
  """Asserts how far every tensor has moved from the first step to the last; others not at all."""
  moved = jax.tree.map(np.subtract, trained.variables, trained.start)
  counters = np.array([n.endswith("num_batches_tracked") for n in reference["final_names"]])
  names, expected = reference["final_names"][~counters], reference[key][~counters]
  _assert_norms(_norms(moved, name), names, expected, rtol, small=0)


def _norms(variables, name):
  exported = convert.export_weights(variables, convert.name_table(name))
  return {tensor: np.linalg.norm(value) for tensor, value in exported.items()}


def _assert_norms(norms, names, expected, rtol, *, small):
  """Compares by name; a tensor that we do not have must be one that has no gradient."""
  assert norms.keys() <= set(names)
  smallest = small * expected.max()
  for tensor, norm in zip(names, expected, strict=True):
    ours = norms.get(tensor, 0.0)
    if norm <= smallest:
      assert ours <= smallest, tensor
    else:
      np.testing.assert_allclose(ours, norm, rtol=rtol, err_msg=tensor)
