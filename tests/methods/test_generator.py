"""MUN's generator against plain NumPy, with the network's own parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vireid_jax.methods.mun import auxiliary_image
from vireid_jax.methods.mun import generator as generator_lib
from vireid_jax.models.conv import DepthwiseConv
from vireid_jax.models.numerics import Numerics

EXACT = Numerics("float64", "xla")
SHAPE = (2, 9, 5, 4)


def draw(count=2, seed=0):
  return [jnp.asarray(x) for x in np.random.default_rng(seed).normal(size=(count, *SHAPE))]


def randomise(variables, seed=3):
  """Replaces ones and zeros by values that a forgotten term would show."""
  generator = np.random.default_rng(seed)
  return jax.tree.map(lambda x: jnp.asarray(generator.uniform(0.2, 1, x.shape)), variables)


def plain_conv(x, kernel):
  return x @ kernel[0, 0]


def plain_depthwise(x, kernel):
  size, reach = kernel.shape[0], kernel.shape[0] // 2
  padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
  out = np.zeros_like(x)
  for row in range(x.shape[1]):
    for column in range(x.shape[2]):
      window = padded[:, row : row + size, column : column + size]
      out[:, row, column] = np.sum(window * kernel[:, :, 0], axis=(1, 2))
  return out


def plain_bn(x, parameters):
  mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
  return (x - mean) / np.sqrt(variance + 1e-5) * parameters["scale"] + parameters["bias"]


def relu(x):
  return np.maximum(x, 0)


def plain_intra(x, p, sizes):
  total = sum(
    relu(plain_bn(plain_depthwise(x, p[f"depthwise{k}"]["kernel"]), p[f"bn{k}"])) for k in sizes
  )
  return plain_bn(plain_conv(total, p["pointwise"]["kernel"]), p["bn"])


def plain_pool(x, rows, columns):
  n, height, width, channels = x.shape
  out = np.zeros((n, rows, columns, channels))
  for r in range(rows):
    for c in range(columns):
      top, bottom = r * height // rows, int(np.ceil((r + 1) * height / rows))
      left, right = c * width // columns, int(np.ceil((c + 1) * width / columns))
      out[:, r, c] = x[:, top:bottom, left:right].mean((1, 2))
  return out


def plain_up(x, height, width):
  def matrix(new, old):
    weights = np.zeros((new, old))
    for index in range(new):
      position = np.clip((index + 0.5) * old / new - 0.5, 0, old - 1)
      low = int(np.floor(position))
      high = min(low + 1, old - 1)
      weights[index, low] += 1 - (position - low)
      weights[index, high] += position - low
    return weights

  return np.einsum("yr,nrsc,xs->nyxc", matrix(height, x.shape[1]), x, matrix(width, x.shape[2]))


def plain_cross(v, r, p):
  def conv_bn(name, x):
    return plain_bn(plain_conv(x, p[name]["kernel"]), p[f"{name}_bn"])

  z = relu(conv_bn("fuse", np.concatenate([v, r], -1)))
  scales = [z]
  for rows, columns in generator_lib.PYRAMID:
    s = relu(conv_bn(f"grid{rows}x{columns}", plain_pool(z, rows, columns)))
    scales.append(plain_up(s, *z.shape[1:3]))
  return conv_bn("join", np.concatenate(scales, -1))


@pytest.mark.parametrize("size", [3, 5, 7])
def test_both_lowerings_of_depthwise_convolution_equal_plain_sums(size):
  with jax.enable_x64(True):
    (x,) = draw(1)
    module = DepthwiseConv(size, EXACT)
    variables = module.init(jax.random.key(0), x)
    expected = plain_depthwise(np.asarray(x), np.asarray(variables["params"]["kernel"]))
    for lowering in ("xla", "dot"):
      y = DepthwiseConv(size, Numerics("float64", lowering)).apply(variables, x)
      np.testing.assert_allclose(y, expected, atol=1e-12)


def generator(**options):
  return generator_lib.AuxiliaryGenerator(numerics=EXACT, **options)


def init(module):
  """Compiled as one: operation by operation, all takes far longer."""
  return jax.jit(functools.partial(module.init, train=True))


def apply(module):
  return jax.jit(functools.partial(module.apply, train=True, mutable=["batch_stats"]))


@functools.cache
def drawn():
  module, (v, r) = generator(), draw()
  variables = init(module)(jax.random.key(0), v, r)
  return randomise(variables["params"]), variables["batch_stats"]


def test_generator_equals_its_formula():
  with jax.enable_x64(True):
    params, stats = drawn()
    v, r = draw()
    p = jax.tree.map(np.asarray, params)
    (made, scales), _ = apply(generator())({"params": params, "batch_stats": stats}, v, r)
    v, r = np.asarray(v), np.asarray(r)
    intra = plain_intra(v, p["intra_visible"], (3, 5, 7))
    intra += plain_intra(r, p["intra_infrared"], (3, 5, 7))
    expected = relu(p["intra_scale"] * intra + p["cross_scale"] * plain_cross(v, r, p["cross"]))
    assert (expected > 0).mean() > 0.2
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(scales["intra"], p["intra_scale"])
    np.testing.assert_array_equal(scales["cross"], p["cross_scale"])


def test_gradients_equal_finite_differences():
  with jax.enable_x64(True):
    params, stats = drawn()

    @jax.jit
    def loss(params, v, r):
      (made, _), _ = apply(generator())({"params": params, "batch_stats": stats}, v, r)
      return jnp.sum(made**2)

    check_grads(loss, (params, *draw()), order=1, modes=["rev"], eps=1e-6, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_maps_of_a_single_pair_stay_finite(value):
  # A batch of one: the statistics of the 1x1 grid have a single value each.
  x = jnp.full((1, 3, 2, 4), value, jnp.float32)
  module = generator_lib.AuxiliaryGenerator(numerics=Numerics("float32", "xla"))
  variables = init(module)(jax.random.key(0), x, x)

  def loss(params):
    (made, _), _ = apply(module)({**variables, "params": params}, x, x)
    return made.sum()

  value, gradients = jax.jit(jax.value_and_grad(loss))(variables["params"])
  assert np.isfinite(value)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_fixed_ratio_is_one_half_and_has_no_parameters():
  with jax.enable_x64(True):
    v, r = draw()
    module = generator(layer_scale=False)
    variables = init(module)(jax.random.key(0), v, r)
    assert not [name for name in variables["params"] if name.endswith("scale")]
    (_, scales), _ = apply(module)(variables, v, r)
    for scale in scales.values():
      np.testing.assert_array_equal(scale, np.full(4, 0.5))


def test_auxiliary_images():
  visible, infrared = (np.random.default_rng(s).uniform(size=(2, 4, 3, 3)) for s in (0, 1))
  mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
  gray = auxiliary_image.gray(jnp.asarray((visible - mean) / std), None) * std + mean
  luminance = visible @ [0.2989, 0.5870, 0.1140]
  for channel in range(3):
    np.testing.assert_allclose(gray[..., channel], luminance, atol=1e-6)
  mixed = auxiliary_image.pixel_mix(jnp.asarray(visible), jnp.asarray(infrared))
  np.testing.assert_allclose(mixed, (visible + infrared) / 2, atol=1e-6)
