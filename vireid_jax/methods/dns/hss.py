"""Heterogeneous space shifting of DNS: gates per row and per column of a map."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.models.conv import Conv
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

REDUCTION = 32
FEWEST_CHANNELS = 8


class HSS(nn.Module):
  """Multiplies a map by a gate of its row and a gate of its column, each per channel.

  With p = softmax_H(max_W x) and q = softmax_W(max_H x), the gates read the rows' and the columns'
  means of u = x + p q. They share a 1x1 convolution to max(8, c / 32) channels and its batch norm,
  whose statistics are over rows and columns together.

  Attributes:
    numerics: dtype, lowering, batch-norm statistics.

  Reference:
    Jiang et al., "Domain Shifting: A Generalized Solution for Heterogeneous Cross-Modality Person
    Re-Identification", ECCV 2024, and its published code.
  """

  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] to [n, h, w, c]."""
    height, channels = x.shape[1], x.shape[-1]
    hidden = max(FEWEST_CHANNELS, channels // REDUCTION)
    profiles = jnp.concatenate(_profiles(x), axis=1)[:, :, None]
    squeezed = self._conv(hidden, "squeeze")(profiles)
    squeezed = nn.hard_swish(BatchNorm(self.numerics, name="norm")(squeezed, train=train))
    row_gate = nn.sigmoid(self._conv(channels, "rows")(squeezed[:, :height]))
    column_gate = nn.sigmoid(self._conv(channels, "columns")(squeezed[:, height:]))
    return x * column_gate.swapaxes(1, 2) * row_gate

  def _conv(self, features: int, name: str) -> Conv:
    return Conv(features, 1, numerics=self.numerics, kernel_init=torch_uniform, name=name)


def _profiles(x: Array) -> tuple[Array, Array]:
  """Means of u = x + p q over w [n, h, c] and over h [n, w, c], in float32 at least.

  p and q sum to 1, so that the mean of p q over w is p / w: the map u itself is never needed.
  """
  _, height, width, _ = x.shape
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  p = jax.nn.softmax(_first_max(x, axis=2), axis=1)
  q = jax.nn.softmax(_first_max(x, axis=1), axis=1)
  return jnp.mean(x, axis=2) + p / width, jnp.mean(x, axis=1) + q / height


def _first_max(x: Array, axis: int) -> Array:
  """Maximum along an axis; of equal ones the first gets the gradient, as in the published code.

  `jnp.max` would share it among them.
  """
  index = jnp.expand_dims(jnp.argmax(x, axis), axis)
  is_first = jax.lax.broadcasted_iota(index.dtype, x.shape, axis) == index
  return jnp.sum(jnp.where(is_first, x, 0), axis)
