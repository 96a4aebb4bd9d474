"""The two-stream baseline in PyTorch, with which the JAX networks are compared.

It is idiomatic PyTorch: modules, channels-last maps, library losses. Names are those of AGW's
published code, so that `models.convert` converts weights between the two. Needs PyTorch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vireid_jax.data.training.operations import IMAGENET_MEAN, IMAGENET_STD
from vireid_jax.losses.distance import SMALLEST_SQUARE
from vireid_jax.losses.wrt import LEGACY_EPSILON
from vireid_jax.models.head import GEM_EPSILON, GEM_POWER
from vireid_jax.models.resnet import STAGE_BLOCKS, STAGE_STRIDES, feature_size

STREAMS = {"visible": ("visible_module", "visible"), "infrared": ("thermal_module", "thermal")}


class Block(nn.Module):
  """A residual block: two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1."""

  def __init__(self, channels: int, filters: int, stride: int, bottleneck: bool):
    super().__init__()
    width = 4 * filters if bottleneck else filters
    shapes = [(channels, filters, 3, stride), (filters, width, 3, 1)]
    if bottleneck:
      shapes = [(channels, filters, 1, 1), (filters, filters, 3, stride), (filters, width, 1, 1)]
    self.count = len(shapes)
    for index, shape in enumerate(shapes, start=1):
      self.add_module(f"conv{index}", _conv(*shape))
      self.add_module(f"bn{index}", nn.BatchNorm2d(shape[1]))
    self.downsample = None
    if stride != 1 or channels != width:
      self.downsample = nn.Sequential(_conv(channels, width, 1, stride), nn.BatchNorm2d(width))

  def forward(self, x: Tensor) -> Tensor:
    y = x
    for index in range(1, self.count + 1):
      y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
      y = F.relu(y, inplace=True) if index < self.count else y
    shortcut = x if self.downsample is None else self.downsample(x)
    return F.relu(y + shortcut, inplace=True)


class Stem(nn.Module):
  """7x7 convolution, batch norm, ReLU and max pooling."""

  def __init__(self, width: int):
    super().__init__()
    self.conv1, self.bn1 = _conv(3, width, 7, 2), nn.BatchNorm2d(width)

  def forward(self, x: Tensor) -> Tensor:
    return F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)


class Trunk(nn.Sequential):
  """Stages 1 to 4; the last one keeps its resolution."""

  def __init__(self, depth: int, width: int):
    super().__init__()
    bottleneck, channels = depth >= 50, width
    for stage, (blocks, stride) in enumerate(zip(STAGE_BLOCKS[depth], STAGE_STRIDES, strict=True)):
      layer, filters = nn.Sequential(), width * 2**stage
      for index in range(blocks):
        layer.append(Block(channels, filters, stride if index == 0 else 1, bottleneck))
        channels = filters * (4 if bottleneck else 1)
      self.add_module(f"layer{stage + 1}", layer)


class TwoStream(nn.Module):
  """Two stems, a shared trunk, pooling, batch-norm neck and classifier.

  Args:
    depth, width: Depth and stem width of the ResNet.
    classes: Number of training identities.
    pooling: 'gem' or 'average'.
  """

  def __init__(self, *, depth: int, width: int, classes: int, pooling: str):
    super().__init__()
    for module, name in STREAMS.values():
      self.add_module(module, nn.ModuleDict({name: Stem(width)}))
    self.base_resnet = nn.ModuleDict({"base": Trunk(depth, width)})
    size = feature_size(depth, width)
    self.bottleneck = nn.BatchNorm1d(size)
    self.bottleneck.bias.requires_grad_(False)
    self.classifier = nn.Linear(size, classes, bias=False)
    self._pooling = pooling

  def forward(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """Maps [b, 3, h, w] twice to pooled features [2b, c] and logits [2b, classes]."""
    merged = torch.cat([self._stream("visible")(visible), self._stream("infrared")(infrared)])
    pooled = self._pool(self.base_resnet["base"](merged))
    return pooled, self.classifier(self.bottleneck(pooled))

  def embed(self, images: Tensor) -> Tensor:
    """Maps visible images [n, 3, h, w] to the feature after the neck [n, c]."""
    return self.bottleneck(self._pool(self.base_resnet["base"](self._stream("visible")(images))))

  def _stream(self, modality: str) -> Stem:
    module, name = STREAMS[modality]
    return getattr(self, module)[name]

  def _pool(self, x: Tensor) -> Tensor:
    x = x if x.dtype == torch.float64 else x.float()
    if self._pooling == "average":
      return x.mean((2, 3))
    return ((x**GEM_POWER).mean((2, 3)) + GEM_EPSILON) ** (1 / GEM_POWER)


def loss(pooled: Tensor, logits: Tensor, labels: Tensor, *, metric: str, margin: float) -> Tensor:
  """Returns cross-entropy plus metric loss, scalar; see `vireid_jax.losses` for the formulas.

  Args:
    pooled: float [n, c].
    logits: float [n, classes].
    labels: int64 [n].
    metric: 'triplet', 'wrt' or 'wrt_legacy'.
    margin: Margin of 'triplet'.
  """
  distance = _distance(pooled)
  same = labels[:, None] == labels[None, :]
  if metric == "triplet":
    furthest = distance.masked_fill(~same, 0.0).amax(1)
    closest = distance.masked_fill(same, torch.inf).amin(1)
    value = F.relu(margin + furthest - closest)
  else:
    weigh = _legacy_weights if metric == "wrt_legacy" else _softmax_weights
    furthest = (weigh(distance, same) * distance).sum(1)
    closest = (weigh(-distance, ~same) * distance).sum(1)
    value = F.softplus(furthest - closest)
  logits = logits if logits.dtype == torch.float64 else logits.float()
  return F.cross_entropy(logits, labels) + value.mean()


def crop_flip(images: Tensor, *, padding: int = 10) -> Tensor:
  """Pads, randomly crops and randomly mirrors each image, uint8 [n, h, w, 3].

  One gather for the whole batch, on its device.
  """
  count, height, width, _ = images.shape
  padded = F.pad(images, (0, 0, padding, padding, padding, padding))
  place = images.device
  top, left = torch.randint(0, 2 * padding + 1, (2, count, 1), device=place)
  columns = torch.arange(width, device=place).expand(count, width)
  columns = torch.where(torch.rand(count, 1, device=place) < 0.5, columns.flip(1), columns) + left
  rows = torch.arange(height, device=place) + top
  each = torch.arange(count, device=place)[:, None, None]
  return padded[each, rows[:, :, None], columns[:, None, :]]


def normalize(images: Tensor) -> Tensor:
  """Normalises uint8 [n, h, w, 3] to float32 [n, 3, h, w], channels last in memory."""
  mean, std = (images.new_tensor(x, dtype=torch.float32) for x in (IMAGENET_MEAN, IMAGENET_STD))
  return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def _conv(channels: int, features: int, size: int, stride: int) -> nn.Conv2d:
  return nn.Conv2d(channels, features, size, stride, (size - 1) // 2, bias=False)


def _distance(x: Tensor) -> Tensor:
  norm = (x * x).sum(1)
  square = norm[:, None] + norm[None, :] - 2 * x @ x.T
  return square.clamp_min(SMALLEST_SQUARE).sqrt()


def _softmax_weights(score: Tensor, mask: Tensor) -> Tensor:
  lowest = torch.finfo(score.dtype).min
  return torch.softmax(score.masked_fill(~mask, lowest), 1) * mask


def _legacy_weights(score: Tensor, mask: Tensor) -> Tensor:
  shift = (score * mask).amax(1, keepdim=True)
  exponential = torch.exp((score - shift) * mask) * mask
  return exponential / (exponential.sum(1, keepdim=True) + LEGACY_EPSILON)
