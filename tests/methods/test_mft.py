"""The transfer against plain restatements of its two paths; its size; numerical gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vireid_jax.common.errors import UserError
from vireid_jax.methods.tmpa.mft import MFT, ProjectionConv, attend
from vireid_jax.models.numerics import Numerics

XLA, DOT = Numerics("float64", "xla"), Numerics("float64", "dot")
SHAPE, HEADS, GROUPS = (2, 3, 2, 6), 2, 3


def draw(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def projections():
  return draw(3, *SHAPE, seed=1)


def restated_attention(query, key, value):
  out = np.zeros(SHAPE)
  for image in range(SHAPE[0]):
    q, k, v = (x[image].reshape(6, HEADS, GROUPS) for x in (query, key, value))
    for head in range(HEADS):
      for place in range(6):
        score = k[:, head] @ q[place, head] / np.sqrt(GROUPS)
        weight = np.exp(score) / np.exp(score).sum()
        column = slice(head * GROUPS, (head + 1) * GROUPS)
        out[image, place // 2, place % 2, column] = weight @ v[:, head]
  return out


def restated_convolution(query, key, value, mix, kernel):
  """Channel j of every head of q, k, v is group j: 9 maps of it, then a kernel per new channel."""
  height, width = SHAPE[1:3]
  out = np.zeros(SHAPE)
  for group in range(GROUPS):
    own = [x[..., head * GROUPS + group] for x in (query, key, value) for head in range(HEADS)]
    maps = np.einsum("inhw,is->nhws", own, mix)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for head in range(HEADS):
      for y in range(height):
        for x in range(width):
          window = padded[:, y : y + 3, x : x + 3]
          weight = kernel[..., group * HEADS + head]
          out[:, y, x, head * GROUPS + group] = np.einsum("nijs,ijs->n", window, weight)
  return out


def sum_of_shifted_maps(query, key, value, mix):
  """What the grouped convolution starts as: map 3 i + j, read i - 1 rows and j - 1 columns off."""
  height, width = SHAPE[1:3]
  stacked = np.stack([query, key, value], axis=-2).reshape(*SHAPE[:3], 3 * HEADS, GROUPS)
  maps = np.pad(
    np.einsum("nhwig,is->nhwgs", stacked, mix), ((0, 0), (1, 1), (1, 1), (0, 0), (0, 0))
  )
  total = sum(
    maps[:, i : i + height, j : j + width, :, 3 * i + j] for i in range(3) for j in range(3)
  )
  return np.concatenate([total] * HEADS, axis=-1)


def test_attention_equals_its_formula():
  with jax.enable_x64(True):
    found = attend(*jnp.asarray(projections()), heads=HEADS)
  np.testing.assert_allclose(found, restated_attention(*projections()), atol=1e-12)


@pytest.mark.parametrize("numerics", [XLA, DOT], ids=["xla", "dot"])
def test_convolution_starts_as_shifts_and_equals_its_formula(numerics):
  with jax.enable_x64(True):
    module, given = ProjectionConv(HEADS, numerics), jnp.asarray(projections())
    params = module.init(jax.random.key(0), *given)["params"]
    start = module.apply({"params": params}, *given)
    assert params["kernel"].shape == (3, 3, 9, 6)
    assert np.count_nonzero(params["kernel"]) == 9 * 6
    kernel = draw(3, 3, 9, 6, seed=2)
    later = module.apply({"params": {**params, "kernel": jnp.asarray(kernel)}}, *given)
  mix = np.asarray(params["mix"])
  np.testing.assert_allclose(start, sum_of_shifted_maps(*projections(), mix), atol=1e-12)
  np.testing.assert_allclose(later, restated_convolution(*projections(), mix, kernel), atol=1e-12)


def transfer(path, r1=0.5, r2=0.5, shared=None, specific=None):
  """Returns (output in eval mode, parameters of 'both') of a transfer of one set of weights."""
  with jax.enable_x64(True):
    maps = [
      jnp.asarray(draw(*SHAPE, seed=s) if x is None else x) for s, x in ((3, shared), (4, specific))
    ]
    variables = MFT(1, HEADS, "both", DOT).init(jax.random.key(0), *maps, train=False)
    params = dict(variables["params"])
    scales = {"attention_scale": jnp.float64(r1), "convolution_scale": jnp.float64(r2)}
    used = {"attention": ("query", "key", "value", "out", "norm")}
    used["convolution"] = (*used["attention"], "convolution")
    params = params | scales if path == "both" else {k: params[k] for k in used[path]}
    module = MFT(1, HEADS, path, DOT)
    return module.apply({**variables, "params": params}, *maps, train=False), variables["params"]


def test_the_whole_equals_its_formula_and_each_path_alone_the_other_at_zero():
  found, params = transfer("both", 0.3, 0.9)
  shared, specific = draw(*SHAPE, seed=3), draw(*SHAPE, seed=4)
  q, k, v = (
    x @ np.asarray(params[name]["kernel"])[0, 0]
    for x, name in ((shared, "query"), (specific, "key"), (specific, "value"))
  )
  convolution = sum_of_shifted_maps(q, k, v, np.asarray(params["convolution"]["mix"]))
  mixed = 0.3 * restated_attention(q, k, v) + 0.9 * convolution
  # Fresh statistics are mean 0 and variance 1.
  expected = mixed @ np.asarray(params["out"]["kernel"])[0, 0] / np.sqrt(1 + 1e-5)
  np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-12)
  assert (expected < 0).any()
  np.testing.assert_allclose(transfer("both", 1.0, 0.0)[0], transfer("attention")[0], atol=1e-12)
  np.testing.assert_allclose(transfer("both", 0.0, 1.0)[0], transfer("convolution")[0], atol=1e-12)


@pytest.mark.parametrize("maps", ["zero", "equal", "huge"])
def test_finite_for_degenerate_maps(maps):
  x = {"zero": jnp.zeros(SHAPE), "equal": jnp.ones(SHAPE), "huge": 1e4 * jnp.asarray(draw(*SHAPE))}
  x = jnp.float32(x[maps])
  module = MFT(1, HEADS, numerics=Numerics("float32", "dot"))
  variables = jax.jit(functools.partial(module.init, train=True))(jax.random.key(0), x, x)

  def total(params):
    variables_now = {**variables, "params": params}
    y, _ = module.apply(variables_now, x, x, train=True, mutable=["batch_stats"])
    return y.sum()

  value, gradient = jax.jit(jax.value_and_grad(total))(variables["params"])
  assert np.isfinite(value)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_gradients_equal_differences():
  with jax.enable_x64(True):
    maps = [jnp.asarray(draw(*SHAPE, seed=seed)) for seed in (3, 4)]
    module = MFT(1, HEADS, "both", DOT)
    variables = module.init(jax.random.key(0), *maps, train=False)

    def total(params, shared, specific):
      y = module.apply({**variables, "params": params}, shared, specific, train=False)
      return jnp.sum(y * jnp.asarray(draw(*SHAPE, seed=5)))

    check_grads(jax.jit(total), (variables["params"], *maps), order=1, modes=["rev"], rtol=1e-5)


def test_width_must_divide_into_heads():
  with pytest.raises(UserError, match=r"6 channels / reduction 2 = 3, not a multiple of 2 heads"):
    MFT(2, 2).init(jax.random.key(0), jnp.zeros(SHAPE), jnp.zeros(SHAPE), train=False)
  with pytest.raises(UserError, match="unknown path 'conv'; did you mean 'convolution'"):
    MFT(1, 2, "conv").init(jax.random.key(0), jnp.zeros(SHAPE), jnp.zeros(SHAPE), train=False)
