"""MUN's generator of the auxiliary modality from visible and infrared maps."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vireid_jax.models.conv import Conv, DepthwiseConv
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

# Rows x columns of each grid: people are about twice as tall as wide.
PYRAMID = ((1, 1), (2, 1), (4, 2), (8, 4))
# There is no residual path: a layer scale near zero, as in residual networks, would erase the map.
SCALE = 0.5


class IntraLearner(nn.Module):
  """Intra-modality learner (IML): patterns of one modality at several kernel sizes.

  IML(x) = BN(conv1x1(sum_k relu(BN(depthwise_kxk(x))))).

  Attributes:
    kernel_sizes: Kernel sizes of the depthwise convolutions, odd.
    numerics: Dtype, convolution lowering and batch-norm statistics.

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
    pyramid: (Rows, columns) of each grid.
    numerics: Dtype, convolution lowering and batch-norm statistics.

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
  """Generates the auxiliary map from both learners, weighted per channel.

  x_a = relu(g_i (IML_v(x_v) + IML_r(x_r)) + g_c CML(x_v, x_r)).

  Attributes:
    intra: Use the intra-modality learners.
    cross: Use the cross-modality learner.
    layer_scale: Learn g_i and g_c [c], initially 0.5; otherwise they stay 0.5.
    kernel_sizes: Kernel sizes of the intra-modality learners.
    numerics: Dtype, convolution lowering and batch-norm statistics.

  Reference:
    Yu et al., ICCV 2023: both learners, and a layer scale that sets their ratio during training.
    The sum, the initial scale and the final ReLU, which keeps the map non-negative, are our choice.
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
  """Averages a map over the cells of a grid; cells overlap if the grid does not divide the map.

  Args:
    x: float [n, h, w, c].
    rows, columns: Size of the grid. Cell i covers positions floor(i h / rows) to
      ceil((i + 1) h / rows), so a grid finer than the map repeats positions.

  Returns:
    float [n, rows, columns, c].
  """
  by_row = jnp.asarray(_cell_weights(x.shape[1], rows), x.dtype)
  by_column = jnp.asarray(_cell_weights(x.shape[2], columns), x.dtype)
  return jnp.einsum("rh,nhwc,sw->nrsc", by_row, x, by_column)


def _cell_weights(size: int, cells: int) -> np.ndarray:
  """Returns averaging weights, float [cells, size]; each row sums to one."""
  weights = np.zeros((cells, size))
  for cell in range(cells):
    first, last = cell * size // cells, -(-(cell + 1) * size // cells)
    weights[cell, first:last] = 1 / (last - first)
  return weights
