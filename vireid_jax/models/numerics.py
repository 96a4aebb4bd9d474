"""How a network computes: dtype, convolution lowering, batch-norm statistics."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp

from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import OneOf, Share

DTYPES = ("auto", "float32", "bfloat16", "float64")
CONV_IMPLEMENTATIONS = ("auto", "xla", "dot")
# Options of methods.
Dtype = Annotated[str, OneOf(DTYPES)]
ConvImplementation = Annotated[str, OneOf(CONV_IMPLEMENTATIONS)]


@dataclasses.dataclass(frozen=True)
class Numerics:
  """Settings that every layer of a network shares.

  Attributes:
    dtype: compute dtype; parameters, statistics and losses stay float32 (float64 with 'float64').
      'auto' is bfloat16 on accelerators and float32 on CPU.
    conv_impl: 'xla' is `lax.conv`; 'dot' writes a convolution as shifted slices and one matrix
      product. 'auto' is 'xla' on accelerators; on CPU, where XLA's convolution is slow, it is 'dot'
      for 1x1 kernels and 'xla' for larger ones, which trains a ResNet-50 as fast as 'dot' alone
      and compiles faster.
    unbiased_variance: keep the running variance with n - 1, as PyTorch does. Flax and the default
      keep n. Training runs continued from imported weights match only with n - 1.
    momentum: share of the old running statistics kept per step, in [0, 1].
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
      UserError: it is float64, which JAX would silently compute in float32.
    """
    if self.dtype == "auto":
      return jnp.dtype(jnp.float32 if _on_cpu() else jnp.bfloat16)
    if self.dtype == "float64" and not jax.config.jax_enable_x64:
      raise UserError(
        "dtype is 'float64', but JAX computes in float32 unless it is told otherwise before it "
        "starts: set the environment variable JAX_ENABLE_X64=1, or choose 'float32'"
      )
    return jnp.dtype(self.dtype)

  @property
  def param_dtype(self) -> jnp.dtype:
    """The dtype of parameters and statistics: float32, or float64 where that is computed in."""
    return jnp.promote_types(self.compute_dtype, jnp.float32)

  def use_dot(self, size: int) -> bool:
    """Whether convolutions with a kernel of size x size become matrix products."""
    return self.conv_impl == "dot" or (self.conv_impl == "auto" and size == 1 and _on_cpu())

  @property
  def slice_windows(self) -> bool:
    """Whether max pooling and depthwise convolution add up shifted slices: XLA's CPU backend is
    slow at both."""
    return self.conv_impl == "dot" or (self.conv_impl == "auto" and _on_cpu())


def _on_cpu() -> bool:
  return jax.default_backend() == "cpu"
