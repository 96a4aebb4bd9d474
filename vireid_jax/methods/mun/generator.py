"""MUN's generator of the auxiliary modality, from maps of a visible and an infrared image."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vireid_jax.models.conv import Conv, DepthwiseConv
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

# Rows x columns of the pyramid: people are about twice as tall as wide.
PYRAMID = ((1, 1), (2, 1), (4, 2), (8, 4))
# The map has no identity path: a scale near zero, as residual networks use, would erase it.
SCALE = 0.5


class IntraLearner(nn.Module):
  """Intra-modality learner (IML): patterns of one modality at several kernel sizes.

  IML(x) = BN(conv1x1(sum_k relu(BN(depthwise_kxk(x))))).

  Attributes:
    kernel_sizes: of the depthwise convolutions, odd.
    numerics: dtype, lowering, batch-norm statistics.

  Reference:
    Yu et al., "Modality Unifying Network for Visible-Infrared Person Re-Identification", ICCV 2023:
    depthwise convolutions with different kernel sizes. How they are joined is our choice.
  """

  kernel_sizes: tuple[int, ...] = (3, 5, 7)
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] to [n, h, w, c]."""
    patterns = 0
    for size in self.kernel_sizes:
      y = DepthwiseConv(size, self.numerics, name=f"depthwise{size}")(x)
      patterns += jax.nn.relu(BatchNorm(self.numerics, name=f"bn{size}")(y, train=train))
    y = Conv(x.shape[-1], 1, numerics=self.numerics, name="pointwise")(patterns)
    return BatchNorm(self.numerics, name="bn")(y, train=train)


class CrossLearner(nn.Module):
  """Cross-modality learner (CML): patterns that both modalities share, at several scales.

  z = relu(BN(conv1x1([x_v; x_r]))); s_i = up(relu(BN(conv1x1(pool_i(z))))) for each grid i of the
  pyramid; CML = BN(conv1x1([z; s_1; ...])).

  Attributes:
    pyramid: (rows, columns) of the grids.
    numerics: dtype, lowering, batch-norm statistics.

  Reference:
    Yu et al., ICCV 2023: spatial pyramid pooling and fusion. Grids and widths are our choice.
  """

  pyramid: tuple[tuple[int, int], ...] = PYRAMID
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, visible: Array, infrared: Array, *, train: bool) -> Array:
    """Maps [n, h, w, c] twice to [n, h, w, c]."""
    channels = visible.shape[-1]
    both = jnp.concatenate([visible, infrared], axis=-1)
    z = jax.nn.relu(self._conv_bn("fuse", both, channels, train))
    scales = [z]
    for rows, columns in self.pyramid:
      cells = grid_pool(z, rows, columns)
      narrow = max(channels // 4, 1)
      s = jax.nn.relu(self._conv_bn(f"grid{rows}x{columns}", cells, narrow, train))
      scales.append(jax.image.resize(s, (*z.shape[:3], narrow), "bilinear"))
    return self._conv_bn("join", jnp.concatenate(scales, axis=-1), channels, train)

  def _conv_bn(self, name: str, x: Array, features: int, train: bool) -> Array:
    y = Conv(features, 1, numerics=self.numerics, name=name)(x)
    return BatchNorm(self.numerics, name=f"{name}_bn")(y, train=train)


class AuxiliaryGenerator(nn.Module):
  """Makes the map of the auxiliary modality, channel by channel in a learned ratio.

  x_a = relu(g_i (IML_v(x_v) + IML_r(x_r)) + g_c CML(x_v, x_r)).

  Attributes:
    intra, cross: with the intra-modality learners, with the cross-modality learner.
    layer_scale: learn g_i and g_c [c], from 0.5 on; they stay 0.5 without it.
    kernel_sizes: of the intra-modality learners.
    numerics: dtype, lowering, batch-norm statistics.

  Reference:
    Yu et al., ICCV 2023: both learners, and a layer scale that sets their ratio during training.
    Sum, start value and the final ReLU, which keeps the trunk's input non-negative, are our choice.
  """

  intra: bool = True
  cross: bool = True
  layer_scale: bool = True
  kernel_sizes: tuple[int, ...] = (3, 5, 7)
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, visible: Array, infrared: Array, *, train: bool) -> tuple[Array, dict]:
    """Maps paired [n, h, w, c] to the map [n, h, w, c] and the scales in use, float32 [c]."""
    total, scales = 0, {}
    if self.intra:
      learner = {
        name: IntraLearner(tuple(self.kernel_sizes), self.numerics, name=f"intra_{name}")
        for name in ("visible", "infrared")
      }
      patterns = learner["visible"](visible, train=train)
      patterns += learner["infrared"](infrared, train=train)
      scales["intra"] = self._scale("intra", visible.shape[-1])
      total += scales["intra"].astype(patterns.dtype) * patterns
    if self.cross:
      patterns = CrossLearner(numerics=self.numerics, name="cross")(visible, infrared, train=train)
      scales["cross"] = self._scale("cross", visible.shape[-1])
      total += scales["cross"].astype(patterns.dtype) * patterns
    return jax.nn.relu(total), scales

  def _scale(self, name: str, channels: int) -> Array:
    dtype = self.numerics.param_dtype
    if not self.layer_scale:
      return jnp.full(channels, SCALE, dtype)
    return self.param(f"{name}_scale", nn.initializers.constant(SCALE), (channels,), dtype)


def grid_pool(x: Array, rows: int, columns: int) -> Array:
  """Averages over the cells of a grid; cells overlap where the size is no multiple of the grid.

  Args:
    x: float [n, h, w, c].
    rows, columns: of the grid; cell i covers positions floor(i h / rows) to ceil((i + 1) h / rows),
      so that a grid finer than the map repeats positions.

  Returns:
    float [n, rows, columns, c].
  """
  by_row = jnp.asarray(_cell_weights(x.shape[1], rows), x.dtype)
  by_column = jnp.asarray(_cell_weights(x.shape[2], columns), x.dtype)
  return jnp.einsum("rh,nhwc,sw->nrsc", by_row, x, by_column)


def _cell_weights(size: int, cells: int) -> np.ndarray:
  """Rows of averages: float [cells, size], each row sums to one."""
  weights = np.zeros((cells, size))
  for cell in range(cells):
    first, last = cell * size // cells, -(-(cell + 1) * size // cells)
    weights[cell, first:last] = 1 / (last - first)
  return weights
