"""Modality alleviation module of MPANet."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from vireid_jax.models.conv import Conv
from vireid_jax.models.numerics import Numerics

EPSILON = 1e-5


class MAM(nn.Module):
  """Instance-normalises the channels that carry modality information, and keeps the others.

  m = sigmoid(W2 relu(W1 average(x))); y = m x + (1 - m) IN(x). The identity losses
  decide which channels are normalised; instance norm has no parameters.

  Attributes:
    reduction: Factor by which W1 reduces the channels.
    numerics: Dtype and convolution lowering.

  Reference:
    Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification",
    CVPR 2021, section 3.2.
  """

  reduction: int = 16
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps [n, h, w, c] to [n, h, w, c]."""
    channels = x.shape[-1]
    average = jnp.mean(x, axis=(1, 2), keepdims=True, dtype=self.numerics.param_dtype)
    squeezed = self._conv(max(channels // self.reduction, 1), "squeeze")(average)
    kept = jax.nn.sigmoid(self._conv(channels, "excite")(jax.nn.relu(squeezed)))
    return kept * x + (1 - kept) * instance_norm(x)

  def _conv(self, features: int, name: str) -> Conv:
    return Conv(features, 1, numerics=self.numerics, name=name)


def instance_norm(x: Array) -> Array:
  """Normalises each channel of each image to zero mean and unit variance over positions.

  Args:
    x: float [n, h, w, c]; statistics are computed in float32 at least.

  Returns:
    float [n, h, w, c], in the dtype of x.
  """
  full = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  centered = full - jnp.mean(full, axis=(1, 2), keepdims=True)
  variance = jnp.mean(centered**2, axis=(1, 2), keepdims=True)
  return (centered * lax.rsqrt(variance + EPSILON)).astype(x.dtype)
