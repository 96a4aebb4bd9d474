"""DEEN's network: a two-stream ResNet with MFA between its stages and DEE before the last."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common.records import MODALITIES
from vireid_jax.methods.deen.dee import BRANCHES, DEE
from vireid_jax.methods.deen.mfa import MFA
from vireid_jax.models.head import PLACES, Head, pool
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import STAGE_STRIDES, ResNet
from vireid_jax.models.two_stream import merge


class DEENBackbone(nn.Module):
  """A stem per modality and shared stages; `embeddings` maps per image leave the last one.

  Attributes:
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem.
    num_stages: Number of its stages in use.
    mfa: Aggregate every stage but the last with its input.
    pnl_reshape: See `mfa.PNL`.
    dee: Expand the input of the last stage.
    dropout: See `dee.DEE`.
    numerics: Dtype, convolution lowering, batch-norm statistics.
  """

  depth: int
  width: int
  num_stages: int
  mfa: bool
  pnl_reshape: str
  dee: bool
  dropout: float
  numerics: Numerics

  def setup(self):
    self.visible, self.infrared = self._stage(0), self._stage(0)
    self.stages = [self._stage(1 + index) for index in range(self.num_stages)]
    strides = STAGE_STRIDES[: self.num_stages - 1] if self.mfa else ()
    self.aggregate = [MFA(stride, self.pnl_reshape, self.numerics) for stride in strides]
    self.expand = DEE(self.dropout, self.numerics) if self.dee else None

  @property
  def embeddings(self) -> int:
    """Number of maps of each image."""
    return 1 + BRANCHES * self.dee

  def __call__(self, visible: Array, infrared: Array) -> Array:
    """Maps [b, h, w, 3] twice to [embeddings 2b, h/16, w/16, c], merged twice: the modalities of a
    pair, and then the embeddings of an image."""
    merged = merge(self.visible(visible, train=True), self.infrared(infrared, train=True))
    return self._shared(merged, train=True)

  def single(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to [embeddings n, h/16, w/16, c]."""
    stream = self.visible if modality == MODALITIES[0] else self.infrared
    return self._shared(stream(images, train=False), train=False)

  def _shared(self, x: Array, *, train: bool) -> Array:
    for index, stage in enumerate(self.stages):
      if self.dee and index == self.num_stages - 1:
        x = self.expand(x, train=train)
      low, x = x, stage(x, train=train)
      if index < len(self.aggregate):
        x = self.aggregate[index](x, low, train=train)
    return x

  def _stage(self, stage: int) -> ResNet:
    return ResNet(self.depth, self.width, stage, stage + 1, numerics=self.numerics)


class DEENNetwork(nn.Module):
  """Backbone, average pooling and one head for all embeddings."""

  backbone: DEENBackbone
  head: Head

  def __call__(self, visible: Array, infrared: Array) -> tuple[Array, Array]:
    """Maps [b, h, w, 3] twice to pooled features [embeddings 2b, c] and logits [.., classes]."""
    pooled = pool(self.backbone(visible, infrared), "average")
    _, logits = self.head(pooled, train=True)
    return pooled, logits

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the maps before pooling, concatenated."""
    maps = self.backbone.single(images, modality)
    maps = maps.reshape(images.shape[0], self.backbone.embeddings, *maps.shape[1:])
    maps = maps.transpose(0, 2, 3, 1, 4)
    return maps.reshape(*maps.shape[:3], -1)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the maps before pooling to concatenated unit vectors, one per embedding and place."""
    del modality
    pooled = pool(features, "average").reshape(features.shape[0], self.backbone.embeddings, -1)
    places = PLACES[::-1] if place == "both" else (place,)
    vectors = [losses.unit(self.head.embed(pooled, each)) for each in places]
    return jnp.concatenate(vectors, axis=1).reshape(features.shape[0], -1)
