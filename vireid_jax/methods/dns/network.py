"""The network of DNS: two streams with HSS and CSS, the head and the modality classifiers."""

import flax.linen as nn
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.methods.dns.css import CSS
from vireid_jax.methods.dns.hss import HSS
from vireid_jax.models.head import Head, pool
from vireid_jax.models.modality_classifiers import ModalityClassifiers
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import ResNet
from vireid_jax.models.two_stream import merge, split

STREAM_STAGES = 3  # stem and stages 1 and 2 belong to a modality


class ShiftingResNet(nn.Module):
  """Stem and stages 1 and 2 per modality, then stages 3 and 4 with HSS after each, and CSS.

  Attributes:
    depth: 18, 34 or 50.
    width: channels of the stem; 64 is the full size.
    hss: with the HSS blocks.
    css: with CSS, in training.
    dropout: rate of CSS.
    numerics: dtype, lowering, batch-norm statistics.
  """

  depth: int = 50
  width: int = 64
  hss: bool = True
  css: bool = True
  dropout: float = 0.01
  numerics: Numerics = Numerics()

  def setup(self):
    self.visible = self._stages(0, STREAM_STAGES)
    self.infrared = self._stages(0, STREAM_STAGES)
    self.stage3, self.stage4 = self._stages(3, 4), self._stages(4, 5)
    if self.hss:
      self.hss3, self.hss4 = HSS(self.numerics), HSS(self.numerics)
    if self.css:
      self.shift = CSS(self.dropout, self.numerics)

  def __call__(self, visible: Array, infrared: Array, *, train: bool) -> tuple[Array, Array | None]:
    """Maps two batches of images to a map, and features to the shifted space.

    Args:
      visible, infrared: float [b, h, w, 3].
      train: normalise by the batch's statistics, and drop features.

    Returns:
      The map [2b, h/16, w/16, c], merged (see `two_stream.merge`), and its shifted features
      [2b, c], or None without CSS.
    """
    merged = merge(self.visible(visible, train=train), self.infrared(infrared, train=train))
    x = self._shared(merged, train)
    return x, self.shift(pool(x, "average"), train=train) if self.css else None

  def single(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to [n, h/16, w/16, c], with running statistics."""
    stream = self.visible if modality == MODALITIES[0] else self.infrared
    return self._shared(stream(images, train=False), train=False)

  def _shared(self, x: Array, train: bool) -> Array:
    x = self.stage3(x, train=train)
    x = self.hss3(x, train=train) if self.hss else x
    x = self.stage4(x, train=train)
    return self.hss4(x, train=train) if self.hss else x

  def _stages(self, first: int, last: int) -> ResNet:
    return ResNet(self.depth, self.width, first, last, numerics=self.numerics)


class DNSNetwork(nn.Module):
  """The ResNet, GeM pooling, the head, and the modality classifiers of the distillation."""

  backbone: ShiftingResNet
  head: Head
  modality_classifiers: ModalityClassifiers | None
  update_rate: float

  def __call__(self, visible: Array, infrared: Array) -> dict:
    """Maps [b, h, w, 3] twice to all that the loss reads; merged where a row is an image.

    Returns:
      'pooled', 'after_neck' and 'shifted' (None without CSS) [2b, c], 'logits' [2b, classes], and
      with the distillation 'modality_logits': for the feature after the neck and the shifted one
      a tuple of four [b, classes]; see `ModalityClassifiers`.
    """
    x, shifted = self.backbone(visible, infrared, train=True)
    # No rectifier before GeM: the last stage ends in one, and HSS's gates are positive.
    pooled = pool(x, "gem")
    after_neck, logits = self.head(pooled, train=True)
    outputs = {"pooled": pooled, "after_neck": after_neck, "shifted": shifted, "logits": logits}
    if self.modality_classifiers is not None:
      outputs["modality_logits"] = self._classify(after_neck, shifted)
    return outputs

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the map before pooling [n, h/16, w/16, c]."""
    return self.backbone.single(images, modality)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the map before pooling to the feature after or before the neck [n, c]."""
    del modality
    return self.head.embed(pool(features, "gem"), place)

  def _classify(self, after_neck: Array, shifted: Array | None) -> list[tuple[Array, ...]]:
    """Scores each feature by the modality classifiers, in one call: they are averaged once."""
    features = [after_neck] if shifted is None else [after_neck, shifted]
    visible, infrared = zip(*(split(feature) for feature in features), strict=True)
    logits = self.modality_classifiers(merge(*visible), merge(*infrared), self.update_rate)
    count = len(features)
    return list(zip(*(split(each, count) for each in logits), strict=True))
