"""Layers against plain restatements of what they compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.models.conv import Conv, max_pool
from vireid_jax.models.head import Head, pool
from vireid_jax.models.non_local import NonLocal
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

XLA, DOT = Numerics("float32", "xla"), Numerics("float32", "dot")


def _random(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("size, stride", [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
@pytest.mark.parametrize("shape", [(2, 9, 6, 3), (1, 8, 5, 4)])
def test_both_convolutions_agree(size, stride, shape):
  x = _random(*shape)
  variables = Conv(5, size, stride, numerics=XLA).init(jax.random.key(0), x)
  results = [
    Conv(5, size, stride, numerics=numerics).apply(variables, x) for numerics in (XLA, DOT)
  ]
  assert results[0].shape == (shape[0], -(-shape[1] // stride), -(-shape[2] // stride), 5)
  np.testing.assert_allclose(results[0], results[1], atol=2e-5)


@pytest.mark.parametrize("numerics", [XLA, DOT], ids=["xla", "dot"])
@pytest.mark.parametrize("dilation", [2, 3])
def test_dilated_kernel_is_a_larger_one_with_zeros_between_its_taps(numerics, dilation):
  x, kernel = _random(2, 7, 5, 3), _random(3, 3, 3, 4, seed=1)
  size = 2 * dilation + 1
  larger = jnp.zeros((size, size, 3, 4)).at[::dilation, ::dilation].set(kernel)
  dilated = Conv(4, 3, numerics=numerics, dilation=dilation)
  results = [
    conv.apply({"params": {"kernel": weights}}, x)
    for conv, weights in ((dilated, kernel), (Conv(4, size, numerics=XLA), larger))
  ]
  assert results[0].shape == (2, 7, 5, 4)
  np.testing.assert_allclose(*results, atol=1e-4)


@pytest.mark.parametrize("size, stride", [(1, 1), (1, 2), (3, 1), (7, 2)])
@pytest.mark.parametrize("features", [2, 5])  # fewer than the channels, and more
def test_both_convolutions_have_one_gradient(size, stride, features):
  with jax.enable_x64(True):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 6, 3)))
    found = []
    for impl in ("xla", "dot"):
      layer = Conv(features, size, stride, numerics=Numerics("float64", impl))
      variables = layer.init(jax.random.key(0), x)

      def loss(variables, x, layer=layer):
        return jnp.sum(jnp.sin(layer.apply(variables, x)))

      found.append(jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(variables, x))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), *found)


def test_convolution_equals_sums_over_windows():
  x = _random(1, 4, 5, 2)
  kernel = _random(3, 3, 2, 3, seed=1)
  padded = np.pad(np.asarray(x[0]), ((1, 1), (1, 1), (0, 0)))
  expected = [
    [np.einsum("hwc,hwcd->d", padded[i : i + 3, j : j + 3], kernel) for j in (0, 2, 4)]
    for i in (0, 2)
  ]
  result = Conv(3, 3, 2, numerics=DOT).apply({"params": {"kernel": kernel}}, x)
  np.testing.assert_allclose(result[0], expected, atol=1e-5)


@pytest.mark.parametrize("numerics", [XLA, DOT])
def test_max_pool_takes_the_largest_of_each_window(numerics):
  x = -jnp.abs(_random(1, 5, 6, 2)) - 1
  padded = np.pad(np.asarray(x[0]), ((1, 2), (1, 1), (0, 0)), constant_values=-np.inf)
  expected = [[padded[i : i + 3, j : j + 3].max((0, 1)) for j in (0, 2, 4)] for i in (0, 2, 4)]
  np.testing.assert_array_equal(max_pool(x, numerics=numerics)[0], expected)


@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (1, 7, 5, 2)])
def test_both_max_pools_have_one_gradient(shape):
  x = _random(*shape)
  results = [
    jax.vjp(lambda x, numerics=numerics: max_pool(x, numerics=numerics), x)
    for numerics in (XLA, DOT)
  ]
  cotangent = _random(*results[0][0].shape, seed=1)
  slopes = [gradient(cotangent)[0] for _, gradient in results]
  np.testing.assert_allclose(slopes[1], slopes[0], atol=1e-6)


@pytest.mark.parametrize("unbiased", [False, True])
def test_batch_norm_statistics_by_hand(unbiased):
  numerics = Numerics("float32", unbiased_variance=unbiased)
  x = jnp.array([[1.0], [2.0], [6.0]])
  layer = BatchNorm(numerics)
  variables = layer.init(jax.random.key(0), x, train=True)
  y, updates = layer.apply(variables, x, train=True, mutable=["batch_stats"])
  variance = 14 / 3
  np.testing.assert_allclose(y, (x - 3) / np.sqrt(variance + 1e-5), rtol=1e-5)
  kept = updates["batch_stats"]
  np.testing.assert_allclose(kept["mean"], [0.3], rtol=1e-6)
  np.testing.assert_allclose(kept["var"], [0.9 + 0.1 * (7.0 if unbiased else variance)], rtol=1e-6)


def test_batch_norm_in_evaluation_uses_running_statistics():
  x = _random(4, 3)
  variables = {
    "params": {"scale": jnp.full(3, 2.0), "bias": jnp.full(3, 0.5)},
    "batch_stats": {"mean": jnp.full(3, 0.1), "var": jnp.full(3, 4.0)},
  }
  y = BatchNorm(XLA).apply(variables, x, train=False)
  np.testing.assert_allclose(y, 2 * (x - 0.1) / np.sqrt(4 + 1e-5) + 0.5, atol=1e-5)


def test_non_local_starts_as_identity_and_equals_its_formula():
  x = _random(2, 3, 2, 4)
  block = NonLocal(inner_features=2, numerics=DOT)
  variables = block.init(jax.random.key(0), x, train=True)
  np.testing.assert_array_equal(block.apply(variables, x, train=False), x)
  variables["params"]["norm"]["scale"] = jnp.ones(4)
  p = jax.tree.map(np.asarray, variables["params"])
  flat = np.asarray(x).reshape(2, 6, 4)
  theta, phi, g = (flat @ p[n]["kernel"][0, 0] + p[n]["bias"] for n in ("theta", "phi", "g"))
  mixed = (theta @ phi.transpose(0, 2, 1) / 6) @ g
  expected = flat + (mixed @ p["out"]["kernel"][0, 0] + p["out"]["bias"]) / np.sqrt(1 + 1e-5)
  result = block.apply(variables, x, train=False).reshape(2, 6, 4)
  np.testing.assert_allclose(result, expected, atol=1e-5)


def test_pooling_by_hand():
  x = jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 2, 1)
  np.testing.assert_allclose(pool(x, "average"), [[2.5]])
  np.testing.assert_allclose(pool(x, "gem"), [[25 ** (1 / 3)]], rtol=1e-6)
  gradient = jax.grad(lambda x: pool(x, "gem").sum())(jnp.zeros((1, 2, 2, 3)))
  assert np.isfinite(gradient).all()
  with pytest.raises(UserError, match="did you mean 'average'"):
    pool(x, "averag")


def test_neck_bias_is_no_parameter():
  head = Head(5, XLA)
  variables = head.init(jax.random.key(0), _random(4, 3), train=True)
  assert set(variables["params"]["neck"]) == {"scale"}
  np.testing.assert_array_equal(variables["constants"]["neck"]["bias"], np.zeros(3))
  assert set(variables["params"]["classifier"]) == {"kernel"}


@pytest.mark.parametrize("option", ["dtype", "conv_impl"])
def test_unknown_numerics_are_refused(option):
  with pytest.raises(UserError, match=f"unknown {option} 'bfloat'"):
    Numerics(**{option: "bfloat"})


def test_bfloat16_computes_in_half_and_keeps_parameters_whole():
  numerics = Numerics("bfloat16", "xla")
  x = _random(2, 4, 4, 3)
  conv, norm = Conv(5, 3, numerics=numerics), BatchNorm(numerics)
  variables = conv.init(jax.random.key(0), x)
  assert variables["params"]["kernel"].dtype == jnp.float32
  y = conv.apply(variables, x)
  assert y.dtype == jnp.bfloat16
  stats = norm.init(jax.random.key(0), y, train=True)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(stats))
