"""Two-stream ResNet cut in two, so that a third modality can join the shared trunk."""

import flax.linen as nn
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import STAGES, ResNet
from vireid_jax.models.two_stream import merge


class ThreeStreamResNet(nn.Module):
  """A ResNet in two halves: `below` the cut, with specific stages, and the shared trunk `above`.

  Attributes:
    depth: 18, 34 or 50.
    width: Channels of the stem; 64 is the full size.
    num_specific_stages: Number of modality-specific stages, the stem counted; at most `cut`.
    cut: Number of stages below the cut: 1 cuts after the stem, 2 after stage 1, 3 after stage 2.
    auxiliary: Add a third stream for an auxiliary image.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  depth: int = 50
  width: int = 64
  num_specific_stages: int = 1
  cut: int = 1
  auxiliary: bool = False
  numerics: Numerics = Numerics()

  def setup(self):
    self.visible = self._stages(0, self.num_specific_stages)
    self.infrared = self._stages(0, self.num_specific_stages)
    self.auxiliary_stream = self._stages(0, self.num_specific_stages) if self.auxiliary else None
    self.lower = self._stages(self.num_specific_stages, self.cut)
    self.upper = self._stages(self.cut, len(STAGES))

  def below(self, visible: Array, infrared: Array, image: Array | None, *, train: bool) -> Array:
    """Maps batches [b, h, w, 3] to the merged map [k b, h', w', c'] at the cut.

    Args:
      visible, infrared: Images of the two modalities.
      image: Images of the auxiliary modality; None if it is not an image.
      train: Normalise by batch statistics.
    """
    streams = [self.visible(visible, train=train), self.infrared(infrared, train=train)]
    if image is not None:
      streams.append(self.auxiliary_stream(image, train=train))
    return self.lower(merge(*streams), train=train)

  def above(self, merged: Array, *, train: bool) -> Array:
    """Maps the map at the cut to the last map [k b, h/16, w/16, c]."""
    return self.upper(merged, train=train)

  def single(self, images: Array, modality: str, *, train: bool = False) -> Array:
    """Maps images [n, h, w, 3] of one modality through its own stream to [n, h/16, w/16, c]."""
    stream = self.visible if modality == MODALITIES[0] else self.infrared
    return self.upper(self.lower(stream(images, train=train), train=train), train=train)

  def _stages(self, first: int, last: int) -> ResNet:
    return ResNet(self.depth, self.width, first, last, numerics=self.numerics)
