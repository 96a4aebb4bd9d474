"""A dense layer whose kernel's gradient is not rounded to the dtype of the activations."""

from collections.abc import Callable

import flax.linen as nn
import jax
from jax import Array, lax

from vireid_jax.models.numerics import Numerics
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.runtime import platform


class Dense(nn.Module):
  """x W + b over the last axis, with the parameters of `nn.Dense`.

  Attributes:
    features: Number of output channels.
    numerics: Dtype of the activations.
    kernel_init: Initialiser of the [c, features] kernel.
  """

  features: int
  numerics: Numerics = Numerics()
  kernel_init: Callable = nn.initializers.truncated_normal(0.02)

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps rows [n, ..., c] to [n, ..., features]."""
    dtype, full = self.numerics.compute_dtype, self.numerics.param_dtype
    kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), full)
    bias = self.param("bias", nn.initializers.zeros, (self.features,), full)
    return product(x.astype(dtype), kernel) + bias.astype(dtype)


def product(x: Array, kernel: Array) -> Array:
  """Returns x [n, ..., c] times a kernel [c, f], rounded to the dtype of x; its gradient is not."""
  return x @ kernel if x.dtype == kernel.dtype else _product_rounded(x, kernel)


@jax.custom_vjp
def _product_rounded(x: Array, kernel: Array) -> Array:
  """`product` for a kernel of another dtype.

  Automatic differentiation would round each device's part of the kernel's gradient to bfloat16 and
  sum the parts in bfloat16 (docs/scale.md).
  """
  return x @ kernel.astype(x.dtype)


def _product_rounded_forward(x: Array, kernel: Array):
  return _product_rounded(x, kernel), (x, kernel)


def _product_rounded_backward(kept, gradient: Array):
  x, kernel = kept
  rows = tuple(range(x.ndim - 1))

  def by_kernel(x: Array, gradient: Array) -> Array:
    if platform.is_cpu():  # which has no product of bfloat16 to float32
      x, gradient = x.astype(kernel.dtype), gradient.astype(kernel.dtype)
    contracted = ((rows, rows), ((), ()))
    return lax.dot_general(x, gradient, contracted, preferred_element_type=kernel.dtype)

  by_x = gradient @ kernel.astype(x.dtype).T
  return by_x, mesh_lib.sum_over_devices(by_kernel, x, gradient)


_product_rounded.defvjp(_product_rounded_forward, _product_rounded_backward)
