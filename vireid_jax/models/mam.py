"""Modality alleviation module of MPANet, and the ResNet that has it after two stages."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from vireid_jax.models.conv import Conv
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import ResNet

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


class MAMNetwork(nn.Module):
  """Base of networks with one ResNet for both modalities, and MAM after stages 3 and 4 or nowhere.

  Attributes:
    lower: Stem and stages 1 to 3.
    upper: Stage 4.
    mam3, mam4: Modules after stages 3 and 4; None without.
  """

  lower: ResNet
  upper: ResNet
  mam3: MAM | None
  mam4: MAM | None

  def forward_features(self, images: Array, modality: str = "", *, train: bool = False) -> Array:
    """Maps images [n, h, w, 3] of either modality to the last map [n, h/16, w/16, c]."""
    del modality
    x = self.lower(images, train=train)
    x = x if self.mam3 is None else self.mam3(x)
    x = self.upper(x, train=train)
    return x if self.mam4 is None else self.mam4(x)


def trunk(depth: int, width: int, mam: bool, numerics: Numerics) -> dict[str, nn.Module | None]:
  """Returns the attributes of a `MAMNetwork`.

  Args:
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    mam: Whether to use the modules.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """
  return {
    "lower": ResNet(depth, width, 0, 4, numerics=numerics),
    "upper": ResNet(depth, width, 4, 5, numerics=numerics),
    "mam3": MAM(numerics=numerics) if mam else None,
    "mam4": MAM(numerics=numerics) if mam else None,
  }
