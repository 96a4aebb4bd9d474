"""Rematerialisation changes memory alone; accumulation is the mean over blocks of identities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_methods
from toys.linear import Linear

from vireid_jax.common.errors import UserError
from vireid_jax.models.numerics import Numerics
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.training import gradients
from vireid_jax.training import state as state_lib
from vireid_jax.training import step as step_lib

IMAGES = 2


def make_batch(pairs=8, size=(32, 16), dtype=np.float32):
  rng = np.random.default_rng(0)
  images = {
    name: rng.normal(size=(pairs, *size, 3)).astype(dtype) for name in ("visible", "infrared")
  }
  return {**images, "label": np.arange(pairs, dtype=np.int32) // IMAGES}


def agw():
  """A ResNet-18 of width 8 in float64, and a batch."""
  method = small_methods.make("agw", Numerics("float64", "xla"))
  return method, make_batch(dtype=np.float64)


def kept_bytes(remat):
  """Returns the bytes that are kept between the forward and the backward pass; computes nothing."""
  method, batch = agw()
  with jax.enable_x64(True):
    variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  loss = gradients.make_loss(method, remat)
  others = {name: value for name, value in variables.items() if name != "params"}

  def backward(params, others):
    return jax.vjp(lambda p: loss(p, others, batch, jax.random.key(1), 0)[0], params)[1]

  with jax.enable_x64(True):
    kept = jax.tree.leaves(jax.eval_shape(backward, variables["params"], others))
  return sum(leaf.size * leaf.dtype.itemsize for leaf in kept)


def test_rematerialisation_keeps_less_between_the_passes():
  # Parameters, always kept, are a good part of so small a network and so small a batch.
  whole = kept_bytes("none")
  assert kept_bytes("products") < 0.8 * whole
  assert kept_bytes("blocks") < 0.8 * whole


@pytest.mark.slow
@pytest.mark.parametrize("remat", ("products", "blocks"))
def test_rematerialisation_keeps_the_numbers(remat):
  method, batch = agw()
  with jax.enable_x64(True):
    variables = jax.jit(method.init)(jax.random.key(0), batch)
    plain, recomputed = (
      jax.jit(gradients.make(method, remat=name))(variables, batch, jax.random.key(1), jnp.int32(0))
      for name in ("none", remat)
    )
    jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-12), plain, recomputed
    )


def test_blocks_deal_out_identities():
  batch = {"label": np.repeat(np.arange(6), 2), "visible": np.arange(12)[:, None]}
  dealt = gradients.split(batch, 3, 2)
  np.testing.assert_array_equal(dealt["label"], [[0, 0, 3, 3], [1, 1, 4, 4], [2, 2, 5, 5]])
  np.testing.assert_array_equal(dealt["visible"][1, :, 0], [2, 3, 8, 9])


def test_accumulated_gradients_are_the_mean_of_the_blocks_and_collections_pass_through():
  method, batch = Linear(5, 3), make_batch()
  variables = method.init(jax.random.key(0), batch)
  output, found = jax.jit(gradients.make(method, accumulate=2, images=IMAGES))(
    variables, batch, jax.random.key(1), 0
  )
  others, blocks = variables, []
  for rows in ([0, 1, 4, 5], [2, 3, 6, 7]):
    block = {name: values[rows] for name, values in batch.items()}

    def loss(params, others=others, block=block):
      output = method.loss({**others, "params": params}, block, rngs=None, step=0)
      return output.loss, output

    (value, one), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
    blocks.append((value, gradient))
    others = {**others, **one.collections}
  mean = jax.tree.map(lambda a, b: (a + b) / 2, *blocks)
  close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
  jax.tree.map(close, (output.loss, found), mean)
  close(output.collections["batch_stats"]["mean"], others["batch_stats"]["mean"])
  # The hardest of four rows is not the hardest of eight: mining changes, and with it the loss.
  whole, _ = jax.jit(gradients.make(method))(variables, batch, jax.random.key(1), 0)
  assert abs(float(whole.loss - output.loss)) > 1e-3


def test_a_mean_over_rows_does_not_change_with_blocks():
  class Mean:
    def loss(self, variables, batch, *, rngs, step):
      from vireid_jax.methods.base import LossOutput

      features = batch["visible"].reshape(8 // blocks, -1) @ variables["params"]
      return LossOutput({"square": jnp.square(features).mean()}, {"rows": features.sum()}, {})

  found = {}
  params = np.random.default_rng(1).normal(size=(32 * 16 * 3, 4)).astype(np.float32) / 40
  for blocks in (1, 2, 4):
    gradient = gradients.make(Mean(), accumulate=blocks, images=IMAGES)
    output, found[blocks] = gradient({"params": params}, make_batch(), jax.random.key(0), 0)
    found[blocks] = (output.loss, found[blocks])
  for blocks in (2, 4):
    jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), found[1], found[blocks]
    )


def test_a_step_in_blocks_trains():
  method, optimizer, batch = Linear(5, 3), optax.sgd(1e-2), make_batch()
  step = step_lib.make_train_step(
    method,
    optimizer,
    lambda key, batch: batch,
    seed=0,
    gradient=gradients.make(method, accumulate=2, images=IMAGES, remat="products"),
  )
  state = state_lib.create(method.init(jax.random.key(0), batch), optimizer)
  sharding = mesh_lib.replicated(mesh_lib.make_mesh())
  losses = []
  for _ in range(5):
    state, scalars = jax.jit(step, out_shardings=sharding)(state, batch)
    losses.append(float(scalars["loss"]))
  assert int(state.step) == 5 and losses[-1] < losses[0]


@pytest.mark.parametrize("accumulate", (0, 3, 8))
def test_blocks_that_do_not_divide_the_identities_are_refused(accumulate):
  with pytest.raises(UserError, match=f"accumulate = {accumulate} does not cut .*identities = 8"):
    gradients.check("none", accumulate, 8)


def test_an_unknown_policy_names_the_nearest():
  with pytest.raises(UserError, match="did you mean 'blocks'"):
    gradients.check("block", 1, 8)
