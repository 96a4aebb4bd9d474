"""A Vision Transformer that both modalities share, and the head."""

import flax.linen as nn
from jax import Array

from vireid_jax.models.head import Head
from vireid_jax.models.two_stream import merge
from vireid_jax.models.vit import ViT


class ViTNetwork(nn.Module):
  """Vision Transformer and head; the feature is the class token.

  Attributes:
    backbone: Transformer of both modalities.
    head: Neck and classifier.
  """

  backbone: ViT
  head: Head

  def __call__(self, visible: Array, infrared: Array) -> tuple[Array, Array]:
    """Maps two training batches [b, h, w, 3] to class tokens [2b, c] and logits [2b, classes].

    Both are merged; see `two_stream.merge`.
    """
    features = self.backbone(merge(visible, infrared), train=True)
    _, logits = self.head(features, train=True)
    return features, logits

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] to the map before the last block [n, rows, columns, 2c]."""
    del modality
    return self.backbone.before_last_block(images)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the map before the last block to the feature after or before the neck [n, c]."""
    del modality
    return self.head.embed(self.backbone.last_block(features), place)

  def attention(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] to the class token's last attention [n, rows, columns]."""
    return self.backbone.attention(images)
