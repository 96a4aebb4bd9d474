"""The network of MCJA: one ResNet for both modalities with MDA blocks, GeM pooling and a head."""

import flax.linen as nn
from jax import Array

from vireid_jax.models.head import Head, pool
from vireid_jax.models.resnet import ResNet


class MCJANetwork(nn.Module):
  """Backbone, GeM pooling and a head, the same for images of both modalities."""

  backbone: ResNet
  head: Head

  def __call__(self, images: Array) -> tuple[Array, Array]:
    """Maps training images [n, h, w, 3] to features after the neck [n, c] and logits."""
    # No rectifier before GeM: the last stage ends in one.
    return self.head(pool(self.backbone(images, train=True), "gem"), train=True)

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] to the map before pooling [n, h/32, w/32, c]."""
    del modality
    return self.backbone(images, train=False)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the map before pooling to the feature after or before the neck [n, c]."""
    del modality
    return self.head.embed(pool(features, "gem"), place)
