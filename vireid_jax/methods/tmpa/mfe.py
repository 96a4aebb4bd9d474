"""Modality feature extractors of TMPA: what the modalities share, and what each has alone."""

import flax.linen as nn
from jax import Array

from vireid_jax.common.errors import choose
from vireid_jax.common.records import MODALITIES
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import PARTS, ResNet
from vireid_jax.models.two_stream import merge, split

# The first part that exists for shared and specific features apart.
SPLITS = {"stage2": 3, "stage3": 4}
STREAM_PARTS = 3  # stem and stages 1 and 2 belong to a modality


class MFE(nn.Module):
  """A stream per modality, then shared stages and, beside them, specific ones per modality.

  The maps are kept, not pooled: what they are transferred by looks at positions.

  Attributes:
    depth: of the ResNet: 18, 34 or 50.
    width: channels of its stem; 64 is the full size.
    split_after: 'stage2': the streams end in a shared and a specific pair of stages 3-4; 'stage3':
      stage 3 is common to all and only stage 4 exists three times.
    specific: with the specific stages; without them this is a two-stream ResNet.
    numerics: dtype, lowering, batch-norm statistics.

  Reference:
    TMPA (arXiv 2312.07021); at which depth the extractors part is our choice.
  """

  depth: int = 50
  width: int = 64
  split_after: str = "stage2"
  specific: bool = True
  numerics: Numerics = Numerics()

  def setup(self):
    first = choose(self.split_after, SPLITS, "split")
    self.visible = self._parts(0, STREAM_PARTS)
    self.infrared = self._parts(0, STREAM_PARTS)
    self.common = self._parts(STREAM_PARTS, first)
    self.shared = self._parts(first, len(PARTS))
    if self.specific:
      self.specific_visible = self._parts(first, len(PARTS))
      self.specific_infrared = self._parts(first, len(PARTS))

  def __call__(
    self, visible: Array, infrared: Array, *, train: bool
  ) -> tuple[Array, tuple[Array, Array] | None]:
    """Maps two batches of images to maps.

    Args:
      visible, infrared: float [b, h, w, 3].
      train: normalise by the batch's statistics.

    Returns:
      The shared map [2b, h/16, w/16, c], merged (see `two_stream.merge`), and the specific ones of
      the visible and the infrared images [b, h/16, w/16, c], or None without them.
    """
    merged = merge(self.visible(visible, train=train), self.infrared(infrared, train=train))
    merged = self.common(merged, train=train)
    shared = self.shared(merged, train=train)
    if not self.specific:
      return shared, None
    own = split(merged)
    return shared, (
      self.specific_visible(own[0], train=train),
      self.specific_infrared(own[1], train=train),
    )

  def shared_map(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to their shared map, with running statistics."""
    return self.shared(self._before_split(images, modality), train=False)

  def single(self, images: Array, modality: str) -> tuple[Array, Array]:
    """Maps images [n, h, w, 3] of one modality to their shared and their own specific map."""
    x = self._before_split(images, modality)
    own = self.specific_visible if modality == MODALITIES[0] else self.specific_infrared
    return self.shared(x, train=False), own(x, train=False)

  def _before_split(self, images: Array, modality: str) -> Array:
    stream = self.visible if modality == MODALITIES[0] else self.infrared
    return self.common(stream(images, train=False), train=False)

  def _parts(self, first: int, last: int) -> ResNet:
    return ResNet(self.depth, self.width, first, last, numerics=self.numerics)
