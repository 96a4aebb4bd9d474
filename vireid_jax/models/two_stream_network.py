"""The network of AGW and of what builds on it: two streams, pooling and a head."""

import flax.linen as nn
from jax import Array

from vireid_jax.models.head import Head, pool
from vireid_jax.models.two_stream import TwoStreamResNet


class TwoStreamNetwork(nn.Module):
  """Two-stream ResNet, pooling and head.

  Attributes:
    backbone: the streams.
    head: neck and classifier.
    pooling: one of `head.POOLINGS`.
  """

  backbone: TwoStreamResNet
  head: Head
  pooling: str

  def __call__(self, visible: Array, infrared: Array) -> tuple[Array, Array]:
    """Maps training images to pooled features and logits.

    Args:
      visible: float [k b, h, w, 3]: k views of each image, merged.
      infrared: float [b, h, w, 3].

    Returns:
      Pooled features [(k + 1) b, c] and logits [(k + 1) b, classes], merged.
    """
    pooled = pool(self.backbone(visible, infrared, train=True), self.pooling)
    _, logits = self.head(pooled, train=True)
    return pooled, logits

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the map before pooling [n, h/16, w/16, c]."""
    return self.backbone.single(images, modality)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the map before pooling to the feature after or before the neck [n, c]."""
    del modality
    return self.head.embed(pool(features, self.pooling), place)
