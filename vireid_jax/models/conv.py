"""Convolution, depthwise convolution and max pooling, in two lowerings with the same parameters."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from vireid_jax.models.numerics import Numerics
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.runtime import platform

# torchvision's initialisation of every ResNet convolution (Kaiming normal, fan out).
kaiming_normal_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class Conv(nn.Module):
  """2-D convolution with symmetric zero padding of dilation (size - 1) / 2, as in torchvision.

  Attributes:
    features: Number of output channels.
    size: Side of the square kernel, odd.
    stride: Stride in both directions.
    use_bias: Add a learned bias per channel.
    numerics: Dtype and convolution lowering.
    kernel_init: Initialiser of the [size, size, c, features] kernel.
    dilation: Distance of the kernel's taps, in pixels.
  """

  features: int
  size: int = 3
  stride: int = 1
  use_bias: bool = False
  numerics: Numerics = Numerics()
  kernel_init: Callable = kaiming_normal_fan_out
  dilation: int = 1

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps [n, h, w, c] to [n, ceil(h / stride), ceil(w / stride), features]."""
    shape = (self.size, self.size, x.shape[-1], self.features)
    dtype = self.numerics.compute_dtype
    kernel = self.param("kernel", self.kernel_init, shape, self.numerics.param_dtype)
    x, settings = x.astype(dtype), (self.stride, self.dilation)
    if self.numerics.use_dot(self.size):
      y = _convolve_by_dot(x, kernel.astype(dtype), *settings)
    elif dtype == kernel.dtype:
      y = _convolve_by_xla(x, kernel, *settings)
    else:
      y = _convolve_rounded(x, kernel, *settings)
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros, (self.features,), self.numerics.param_dtype)
      y = y + bias.astype(dtype)
    return y


class DepthwiseConv(nn.Module):
  """Depthwise convolution with zero padding of (size - 1) // 2.

  Attributes:
    size: Side of the square kernel, odd.
    numerics: Dtype and convolution lowering.
    kernel_init: Initialiser of the [size, size, 1, c] kernel.
  """

  size: int = 3
  numerics: Numerics = Numerics()
  kernel_init: Callable = nn.initializers.variance_scaling(2.0, "fan_in", "normal")

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps [n, h, w, c] to [n, h, w, c]."""
    shape, dtype = (self.size, self.size, 1, x.shape[-1]), self.numerics.compute_dtype
    kernel = self.param("kernel", self.kernel_init, shape, self.numerics.param_dtype).astype(dtype)
    if not self.numerics.slice_windows:
      return _convolve_by_xla(x.astype(dtype), kernel, 1, 1, groups=x.shape[-1])
    windows = shifted_slices(x.astype(dtype), size=self.size, stride=1, fill=0)
    weights = kernel.reshape(self.size**2, x.shape[-1])
    return sum(window * weight for window, weight in zip(windows, weights, strict=True))


def max_pool(x: Array, *, numerics: Numerics) -> Array:
  """Maximum over 3x3 windows, stride 2, padding 1: [n, h, w, c] to [n, ceil(h/2), ceil(w/2), c]."""
  if not numerics.slice_windows:
    return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
  return _halve_by_max(_halve_by_max(x, axis=1), axis=2)


def _halve_by_max(x: Array, axis: int) -> Array:
  """Maximum over windows of 3, stride 2, padding 1 along one axis: length n to ceil(n / 2).

  Window j holds element 2j and its two odd neighbours, so that the gradient is two sums and one
  interleaving; the gradient of overlapping slices is slow on CPU.
  """
  if x.shape[axis] % 2:
    x = lax.pad(x, _lowest(x), [(0, int(axis == index), 0) for index in range(x.ndim)])
  pairs = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
  even, odd = (lax.squeeze(part, [axis + 1]) for part in lax.split(pairs, (1, 1), axis + 1))
  before = lax.pad(odd, _lowest(x), [(int(axis == i), -int(axis == i), 0) for i in range(x.ndim)])
  return jnp.maximum(jnp.maximum(before, even), odd)


def _lowest(x: Array) -> Array:
  return jnp.asarray(-jnp.inf, x.dtype)


def _convolve_by_xla(x: Array, kernel: Array, stride: int, dilation: int, groups: int = 1) -> Array:
  padding = dilation * (kernel.shape[0] - 1) // 2
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=(stride, stride),
    padding=((padding, padding), (padding, padding)),
    rhs_dilation=(dilation, dilation),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=groups,
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve_rounded(x: Array, kernel: Array, stride: int, dilation: int) -> Array:
  """`_convolve_by_xla` with the kernel rounded to the dtype of x, and its gradient not.

  Automatic differentiation would round each device's part of the kernel's gradient to bfloat16 and
  sum the parts in bfloat16: on 256 devices with an error of up to 9 % (docs/scale.md).
  """
  return _convolve_by_xla(x, kernel.astype(x.dtype), stride, dilation)


def _convolve_rounded_forward(x: Array, kernel: Array, stride: int, dilation: int):
  return _convolve_rounded(x, kernel, stride, dilation), (x, kernel)


def _convolve_rounded_backward(stride: int, dilation: int, kept, gradient: Array):
  x, kernel = kept
  rounded, size = kernel.astype(x.dtype), kernel.shape[0]
  (by_x,) = jax.linear_transpose(lambda x: _convolve_by_xla(x, rounded, stride, dilation), x)(
    gradient
  )

  def by_kernel(x: Array, gradient: Array) -> Array:
    return _kernel_gradient(x, gradient, size, stride, dilation).astype(kernel.dtype)

  return by_x, mesh_lib.sum_over_devices(by_kernel, x, gradient)


_convolve_rounded.defvjp(_convolve_rounded_forward, _convolve_rounded_backward)


def _kernel_gradient(x: Array, gradient: Array, size: int, stride: int, dilation: int) -> Array:
  """Gradient [size, size, c, f] of the kernel that mapped x [n, h, w, c] to [n, h', w', f]."""
  before = dilation * (size - 1) // 2
  reach = [dilation * (size - 1) + (length - 1) * stride + 1 for length in gradient.shape[1:3]]
  padding = [(before, r - before - length) for r, length in zip(reach, x.shape[1:3], strict=True)]
  # cuDNN has no convolution of bfloat16 to float32: XLA would convert both operands first.
  full = None if platform.name() == "gpu" else jnp.float32
  return lax.conv_general_dilated(
    x,
    gradient,
    window_strides=(dilation, dilation),
    padding=padding,
    rhs_dilation=(stride, stride),
    dimension_numbers=("CHWN", "IHWO", "HWNC"),
    preferred_element_type=full,
  )


def _convolve_by_dot(x: Array, kernel: Array, stride: int, dilation: int) -> Array:
  size, _, channels, features = kernel.shape
  slices = shifted_slices(x, size=size, stride=stride, dilation=dilation, fill=0)
  columns = jnp.concatenate(slices, axis=-1)
  return _product(columns, kernel.reshape(size * size * channels, features))


@jax.custom_vjp
def _product(x: Array, kernel: Array) -> Array:
  """x @ kernel, [..., c] times [c, f], whose gradient is written for CPU.

  For the kernel's gradient, x^T g over all positions, XLA's CPU backend first transposes one
  operand in memory. It should be the one with fewer channels, but in half of a bottleneck's
  products XLA picks the other, and they take up to twice as long.
  """
  return x @ kernel


def _product_forward(x: Array, kernel: Array):
  return x @ kernel, (x, kernel)


def _product_backward(kept, gradient: Array):
  x, kernel = kept
  channels, features = kernel.shape
  rows, gradients = x.reshape(-1, channels), gradient.reshape(-1, features)
  if channels <= features:
    by_kernel = _times_transposed(rows, gradients)
  else:
    by_kernel = _times_transposed(gradients, rows).T
  return gradient @ kernel.T, by_kernel


def _times_transposed(x: Array, y: Array) -> Array:
  """x^T y; the barrier keeps the compiler from swapping the operands."""
  return lax.optimization_barrier(lax.dot_general(x, y, (((0,), (0,)), ((), ()))))


_product.defvjp(_product_forward, _product_backward)


def shifted_slices(
  x: Array, *, size: int, stride: int, fill: float, dilation: int = 1
) -> list[Array]:
  """The size * size strided views of x that a convolution multiplies, in kernel order."""
  n, height, width, channels = x.shape
  padding = dilation * (size - 1) // 2
  if padding:
    edges = ((0, 0, 0), (padding, padding, 0), (padding, padding, 0), (0, 0, 0))
    x = lax.pad(x, jnp.asarray(fill, x.dtype), edges)
  rows, columns = -(-height // stride), -(-width // stride)
  reach_y, reach_x = (rows - 1) * stride + 1, (columns - 1) * stride + 1
  return [
    lax.slice(x, (0, dy, dx, 0), (n, dy + reach_y, dx + reach_x, channels), (1, stride, stride, 1))
    for dy in range(0, dilation * size, dilation)
    for dx in range(0, dilation * size, dilation)
  ]
