"""Non-local block of AGW."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax.models.conv import Conv
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

# PyTorch's default for convolutions: uniform within +-1 / sqrt(fan in).
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class NonLocal(nn.Module):
  """Adds to every position a weighted sum over all positions of the map.

  y = x + BN(W (theta(x) phi(x)^T / n) g(x)). The affinity is divided by the number of positions n
  (no softmax). The output BN's scale starts at zero, so the block starts as the identity.

  Attributes:
    inner_features: Width of theta, phi and g; 1 in AGW's published code.
    numerics: Dtype, convolution lowering and batch-norm statistics.

  Reference:
    Wang et al., "Non-local Neural Networks", CVPR 2018; Ye et al. 2021 (AGW), section 4.1.
  """

  inner_features: int = 1
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] to [n, h, w, c]."""
    n, height, width, channels = x.shape
    theta, phi, g = (self._project(x, name) for name in ("theta", "phi", "g"))
    affinity = jnp.einsum("npk,nqk->npq", theta, phi) / (height * width)
    y = jnp.einsum("npq,nqk->npk", affinity, g).reshape(n, height, width, -1)
    y = Conv(
      channels, 1, use_bias=True, numerics=self.numerics, kernel_init=torch_uniform, name="out"
    )(y)
    y = BatchNorm(self.numerics, scale_init=nn.initializers.zeros, name="norm")(y, train=train)
    return x + y

  def _project(self, x: Array, name: str) -> Array:
    y = Conv(
      self.inner_features,
      1,
      use_bias=True,
      numerics=self.numerics,
      kernel_init=torch_uniform,
      name=name,
    )(x)
    return y.reshape(x.shape[0], -1, self.inner_features)
