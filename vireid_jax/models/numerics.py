"""Numerics of a network: dtype, convolution lowering, batch-norm statistics."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp

from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import OneOf, Share
from vireid_jax.runtime import platform

DTYPES = ("auto", "float32", "bfloat16", "float64")
CONV_IMPLEMENTATIONS = ("auto", "xla", "dot")
# Settings under which every platform computes, and is counted, the same.
PORTABLE = {"dtype": "float32", "conv_impl": "xla"}
# Types of method options.
Dtype = Annotated[str, OneOf(DTYPES)]
ConvImplementation = Annotated[str, OneOf(CONV_IMPLEMENTATIONS)]


@dataclasses.dataclass(frozen=True)
class Numerics:
  """Numerical settings shared by all layers of a network.

  Attributes:
    dtype: Compute dtype; parameters, statistics and losses stay float32 (float64 with 'float64').
      'auto' is bfloat16 on accelerators and float32 on CPU.
    conv_impl: 'xla' is `lax.conv`; 'dot' lowers a convolution to shifted slices and one matrix
      product. 'auto' is 'xla' on accelerators. On CPU, where XLA's convolution is slow, it is 'dot'
      for 1x1 kernels and 'xla' for larger ones, which trains a ResNet-50 as fast as 'dot'
      everywhere and compiles faster.
    unbiased_variance: Divide the running variance by n - 1, as PyTorch does; Flax and the default
      divide by n. Training continued from imported weights matches PyTorch only with n - 1.
    momentum: Share of the old running statistics kept per step, in [0, 1].
  """

  dtype: Dtype = "auto"
  conv_impl: ConvImplementation = "auto"
  unbiased_variance: bool = False
  momentum: Share = 0.9

  def __post_init__(self):
    options.check(self)

  @property
  def compute_dtype(self) -> jnp.dtype:
    """The dtype of activations.

    Raises:
      UserError: It is float64, but JAX is not set up for it and would silently use float32.
    """
    if self.dtype == "auto":
      return jnp.dtype(jnp.float32 if platform.is_cpu() else jnp.bfloat16)
    if self.dtype == "float64" and not jax.config.jax_enable_x64:
      raise UserError(
        "dtype is 'float64', but JAX computes in float32 unless the environment variable "
        "JAX_ENABLE_X64=1 is set before it starts; set it, or choose 'float32'"
      )
    return jnp.dtype(self.dtype)

  @property
  def param_dtype(self) -> jnp.dtype:
    """The dtype of parameters and statistics: float32, or float64 if that is the compute dtype."""
    return jnp.promote_types(self.compute_dtype, jnp.float32)

  @property
  def full_precision(self) -> "Numerics":
    """Numerics of a head, which computes in the parameters' dtype."""
    return dataclasses.replace(self, dtype=str(self.param_dtype))

  def use_dot(self, size: int) -> bool:
    """Whether convolutions with a kernel of size x size become matrix products."""
    return self.conv_impl == "dot" or (self.conv_impl == "auto" and size == 1 and platform.is_cpu())

  @property
  def slice_windows(self) -> bool:
    """Whether to lower max pooling and depthwise convolution to shifted slices.

    XLA's CPU backend is slow at both.
    """
    return self.conv_impl == "dot" or (self.conv_impl == "auto" and platform.is_cpu())
