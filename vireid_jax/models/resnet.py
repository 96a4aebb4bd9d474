"""ResNet-18/34/50 with torchvision's parameters; any range of its stages can be built."""

from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
from jax import Array

from vireid_jax.common.errors import UserError
from vireid_jax.common.options import OneOf, Whole
from vireid_jax.models.conv import Conv, max_pool
from vireid_jax.models.non_local import NonLocal
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

STAGE_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
# The last stage has stride 1, as usual in re-identification: the last map is h/16 x w/16.
STAGE_STRIDES = (1, 2, 2, 1)
# Types of method options.
Depth = Annotated[int, OneOf(STAGE_BLOCKS)]
Width = Annotated[int, Whole(1, 1024)]


def feature_size(depth: int, width: int = 64) -> int:
  """Channels of the last stage: 2048 for ResNet-50, 512 for 18 and 34, at full width."""
  return width * 8 * _expansion(depth)


def check_depth(depth: int) -> None:
  """Raises UserError unless the depth is one of 18, 34, 50."""
  if depth not in STAGE_BLOCKS:
    raise UserError(f"unknown ResNet depth {depth}; allowed: {', '.join(map(str, STAGE_BLOCKS))}")


class ResNet(nn.Module):
  """Stages `first` to `last` (exclusive) of a ResNet: 0 is the stem, 1-4 are the stages.

  Parameter names follow torchvision's: stem/{conv1,bn1}, layer1/block0/{conv1,bn1,...,
  downsample_conv,downsample_bn}.

  Attributes:
    depth: 18, 34 or 50.
    width: Channels of the stem; 64 is the full size.
    first, last: Range of stages, within 0..5.
    non_local: Number of non-local blocks at the end of each of stages 1-4.
    numerics: Dtype, convolution lowering and batch-norm statistics.
    last_stride: Stride of stage 4: 1, or 2 as torchvision has it.
    attention: Module class of the non-local blocks, or of others at their places.
  """

  depth: int = 50
  width: int = 64
  first: int = 0
  last: int = 5
  non_local: tuple[int, int, int, int] = (0, 0, 0, 0)
  numerics: Numerics = Numerics()
  last_stride: int = STAGE_STRIDES[-1]
  attention: Callable[..., nn.Module] = NonLocal

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps images [n, h, w, 3], or the map after stage `first` - 1, to the last stage's map.

    The whole network gives [n, h/16, w/16, feature_size], or h/32 and w/32 with last stride 2.
    """
    check_depth(self.depth)
    for stage in range(self.first, self.last):
      if stage == 0:
        x = Stem(self.width, self.numerics, name="stem")(x, train=train)
      else:
        x = self._stage(stage)(x, train=train)
    return x

  def _stage(self, stage: int) -> nn.Module:
    return Stage(
      depth=self.depth,
      filters=self.width * 2 ** (stage - 1),
      blocks=STAGE_BLOCKS[self.depth][stage - 1],
      stride=(*STAGE_STRIDES[:-1], self.last_stride)[stage - 1],
      non_local=self.non_local[stage - 1],
      numerics=self.numerics,
      attention=self.attention,
      name=STAGES[stage],
    )


class Stem(nn.Module):
  """7x7 convolution, batch norm, ReLU and max pooling: [n, h, w, 3] to [n, h/4, w/4, width]."""

  width: int = 64
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    x = Conv(self.width, 7, 2, numerics=self.numerics, name="conv1")(x)
    x = jax.nn.relu(BatchNorm(self.numerics, name="bn1")(x, train=train))
    return max_pool(x, numerics=self.numerics)


class Stage(nn.Module):
  """Residual blocks at one resolution, the last few each followed by a non-local block."""

  depth: int
  filters: int
  blocks: int
  stride: int
  non_local: int = 0
  numerics: Numerics = Numerics()
  attention: Callable[..., nn.Module] = NonLocal

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    block = Bottleneck if _expansion(self.depth) == 4 else BasicBlock
    first_non_local = self.blocks - self.non_local
    for index in range(self.blocks):
      stride = self.stride if index == 0 else 1
      x = block(self.filters, stride, self.numerics, name=f"block{index}")(x, train=train)
      if index >= first_non_local:
        name = f"non_local{index - first_non_local}"
        x = self.attention(numerics=self.numerics, name=name)(x, train=train)
    return x


class BasicBlock(nn.Module):
  """Two 3x3 convolutions around a shortcut (ResNet-18 and 34)."""

  filters: int
  stride: int
  numerics: Numerics

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    y = _conv_bn(self, x, 1, self.filters, 3, self.stride, train)
    y = _conv_bn(self, jax.nn.relu(y), 2, self.filters, 3, 1, train)
    return jax.nn.relu(y + _shortcut(self, x, y.shape[-1], train))


class Bottleneck(nn.Module):
  """1x1, 3x3 (which carries the stride) and 1x1 convolutions around a shortcut (ResNet-50)."""

  filters: int
  stride: int
  numerics: Numerics

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    y = _conv_bn(self, x, 1, self.filters, 1, 1, train)
    y = _conv_bn(self, jax.nn.relu(y), 2, self.filters, 3, self.stride, train)
    y = _conv_bn(self, jax.nn.relu(y), 3, 4 * self.filters, 1, 1, train)
    return jax.nn.relu(y + _shortcut(self, x, y.shape[-1], train))


def _conv_bn(block, x: Array, index: int, features: int, size: int, stride: int, train: bool):
  x = Conv(features, size, stride, numerics=block.numerics, name=f"conv{index}")(x)
  return BatchNorm(block.numerics, name=f"bn{index}")(x, train=train)


def _shortcut(block, x: Array, features: int, train: bool) -> Array:
  if block.stride == 1 and x.shape[-1] == features:
    return x
  x = Conv(features, 1, block.stride, numerics=block.numerics, name="downsample_conv")(x)
  return BatchNorm(block.numerics, name="downsample_bn")(x, train=train)


def _expansion(depth: int) -> int:
  return 4 if depth >= 50 else 1
