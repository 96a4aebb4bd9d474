"""Diverse embedding expansion of DEEN."""

import flax.linen as nn
import jax
from jax import Array

from vireid_jax.models.conv import Conv
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.two_stream import merge

BRANCHES = 2
DILATIONS = (1, 2, 3)


class DEE(nn.Module):
  """Makes two more maps of each image's, for three embeddings of it.

  Branch k is W_k relu((c1(x) + c2(x) + c3(x)) / 3), with 3x3 convolutions to a quarter of the
  channels whose dilations are 1, 2 and 3. Dropout acts on all three maps, the original included.

  Attributes:
    dropout: Share of the numbers that are set to zero in training.
    numerics: Dtype and convolution lowering.

  Reference:
    Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
    Visible-Infrared Person Re-identification", CVPR 2023, section 3.3.
  """

  dropout: float = 0.01
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] to [3 n, h, w, c]: of each image the original, branch 1 and branch 2."""
    expanded = merge(x, *(self._branch(x, f"branch{k + 1}") for k in range(BRANCHES)))
    return nn.Dropout(self.dropout, deterministic=not train)(expanded)

  def _branch(self, x: Array, name: str) -> Array:
    channels = x.shape[-1]
    context = [
      self._conv(channels // 4, 3, f"{name}_dilation{d}", dilation=d)(x) for d in DILATIONS
    ]
    y = jax.nn.relu(sum(context) / len(context))
    return self._conv(channels, 1, f"{name}_out", use_bias=True)(y)

  def _conv(self, features: int, size: int, name: str, **options) -> Conv:
    return Conv(
      features,
      size,
      numerics=self.numerics,
      kernel_init=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
      name=name,
      **options,
    )
