"""Kernels' gradients in bfloat16: summed in float32, also over devices."""

import itertools
import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from scale import processes

from vireid_jax.models import conv
from vireid_jax.models.dense import Dense
from vireid_jax.models.numerics import Numerics


def draw(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
  "size, stride, dilation, height, width",
  [(1, 1, 1, 5, 4), (1, 2, 1, 6, 5), (3, 1, 1, 5, 4), (3, 2, 1, 7, 6), (3, 1, 2, 9, 6)]
  + [(7, 2, 1, 16, 9), (3, 2, 3, 8, 11)],
)
def test_gradients_equal_automatic_differentiation(size, stride, dilation, height, width):
  x, kernel = draw(0, 2, height, width, 3), draw(1, size, size, 3, 4)

  def loss(function):
    return lambda x, kernel: jnp.sum(jnp.sin(function(x, kernel, stride, dilation)))

  expected = jax.grad(loss(conv._convolve_by_xla), (0, 1))(x, kernel)
  found = jax.grad(loss(conv._convolve_rounded), (0, 1))(x, kernel)
  for a, b in zip(found, expected, strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize(
  "make",
  [lambda numerics: conv.Conv(8, 3, numerics=numerics), lambda numerics: Dense(8, numerics)],
  ids=["convolution", "dense"],
)
def test_the_gradient_of_a_bfloat16_kernel_is_not_rounded(make):
  module = make(Numerics("bfloat16", conv_impl="xla"))
  x = jnp.asarray(draw(0, 16, 8, 4, 8), jnp.bfloat16)
  variables = module.init(jax.random.key(0), x)

  def loss(params, module, x):
    return jnp.sum(module.apply({"params": params}, x).astype(jnp.float32) * target)

  # A target that bfloat16 holds exactly, so that products are exact and only sums round.
  target = draw(1, 16, 8, 4, 8).astype(ml_dtypes.bfloat16).astype(np.float32)
  found = jax.grad(loss)(variables["params"], module, x)["kernel"]
  exact = make(Numerics("float32", conv_impl="xla"))
  expected = jax.grad(loss)(variables["params"], exact, x.astype(jnp.float32))["kernel"]
  assert found.dtype == jnp.float32
  error = np.abs(found - expected).max() / np.abs(expected).max()
  assert error < 1e-5  # rounded to bfloat16 it is 2e-3


def test_eight_devices_sum_in_float32():
  *_, line = processes.call("kernel_gradients.py", devices=8).splitlines()
  found = json.loads(line)
  assert found["error"] < 1e-5 and found["summed"] == ["float32"]


# Relative errors in docs/scale.md of a sum of parts on 256 devices: parts that share a mean of
# standard deviation 1, plus noise of another.
ERRORS = {0: (9.2e-2, 1.7e-3), 1: (1.9e-2, 1.4e-4), 16: (1.7e-2, 1.2e-3)}


@pytest.mark.parametrize("noise", ERRORS)
def test_accuracy_of_sums_over_256_devices(noise):
  rng = np.random.default_rng(0)
  parts = rng.standard_normal(16_384) + noise * rng.standard_normal((256, 16_384))
  exact, rounded = parts.sum(axis=0), parts.astype(ml_dtypes.bfloat16)
  ring = list(itertools.accumulate(rounded, lambda a, b: a + b))[-1]
  full = [each.astype(np.float32).sum(axis=0) for each in (rounded, parts)]
  errors = [
    np.linalg.norm(found.astype(np.float64) - exact) / np.linalg.norm(exact)
    for found in (ring, *full)
  ]
  np.testing.assert_allclose(errors[:2], ERRORS[noise], rtol=0.1)
  assert errors[2] < 3e-6
