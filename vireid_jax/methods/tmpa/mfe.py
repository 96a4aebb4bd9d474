"""TMPA's modality feature extractors: one shared, and one specific to each modality."""

import flax.linen as nn
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import STAGES, ResNet
from vireid_jax.models.two_stream import merge, split

# Stages after which shared and specific extractors may branch.
BRANCH_STAGES = (2, 3)
STREAM_STAGES = 3  # stem and stages 1 and 2 belong to a modality


class MFE(nn.Module):
  """One stream per modality, then shared and modality-specific stages in parallel.

  The maps are not pooled: the transfer works on positions.

  Attributes:
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    branch_stage: Stage after which the extractors branch. With 2, stages 3 and 4 exist three times
      (shared, visible, infrared); with 3, only stage 4 does.
    specific: Build the specific stages; without them this is a two-stream ResNet.
    numerics: Dtype, convolution lowering and batch-norm statistics.

  Reference:
    TMPA (arXiv 2312.07021); the depth at which the extractors branch is our choice.
  """

  depth: int = 50
  width: int = 64
  branch_stage: int = 2
  specific: bool = True
  numerics: Numerics = Numerics()

  def setup(self):
    first = self.branch_stage + 1  # stage 0 is the stem
    self.visible = self._stages(0, STREAM_STAGES)
    self.infrared = self._stages(0, STREAM_STAGES)
    self.common = self._stages(STREAM_STAGES, first)
    self.shared = self._stages(first, len(STAGES))
    if self.specific:
      self.specific_visible = self._stages(first, len(STAGES))
      self.specific_infrared = self._stages(first, len(STAGES))

  def __call__(
    self, visible: Array, infrared: Array, *, train: bool
  ) -> tuple[Array, tuple[Array, Array] | None]:
    """Maps two batches of images to shared and specific maps.

    Args:
      visible, infrared: float [b, h, w, 3].
      train: Normalise by batch statistics.

    Returns:
      The shared map [2b, h/16, w/16, c], merged (see `two_stream.merge`), and the specific maps of
      the visible and the infrared images [b, h/16, w/16, c], or None.
    """
    merged = merge(self.visible(visible, train=train), self.infrared(infrared, train=train))
    merged = self.common(merged, train=train)
    shared = self.shared(merged, train=train)
    if not self.specific:
      return shared, None
    visible, infrared = split(merged)
    return shared, (
      self.specific_visible(visible, train=train),
      self.specific_infrared(infrared, train=train),
    )

  def shared_map(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to their shared map, with running statistics."""
    return self.shared(self._before_branch(images, modality), train=False)

  def single(self, images: Array, modality: str) -> tuple[Array, Array]:
    """Maps images [n, h, w, 3] of one modality to their shared and their specific map."""
    x = self._before_branch(images, modality)
    specific = self.specific_visible if modality == MODALITIES[0] else self.specific_infrared
    return self.shared(x, train=False), specific(x, train=False)

  def _before_branch(self, images: Array, modality: str) -> Array:
    stream = self.visible if modality == MODALITIES[0] else self.infrared
    return self.common(stream(images, train=False), train=False)

  def _stages(self, first: int, last: int) -> ResNet:
    return ResNet(self.depth, self.width, first, last, numerics=self.numerics)
