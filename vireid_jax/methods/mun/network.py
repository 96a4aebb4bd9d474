"""The network of MUN: a cut ResNet with the generator at the cut, pooling and head."""

import flax.linen as nn
from jax import Array

from vireid_jax.methods.mun.generator import AuxiliaryGenerator
from vireid_jax.methods.mun.three_stream import ThreeStreamResNet
from vireid_jax.models.head import Head, pool
from vireid_jax.models.two_stream import merge, split


class MUNNetwork(nn.Module):
  """A cut ResNet with the generator at the cut, pooling and head."""

  backbone: ThreeStreamResNet
  generator: AuxiliaryGenerator | None
  head: Head
  pooling: str

  def __call__(self, visible: Array, infrared: Array, image: Array | None) -> dict:
    """Maps paired images [b, h, w, 3] to what the loss reads.

    Args:
      visible, infrared: Images of the same identities, row by row.
      image: Images of the auxiliary modality, if it is an image modality.

    Returns:
      'before_neck' and 'after_neck' [k b, c] and 'logits' [k b, classes], merged over the k
      modalities visible, infrared and, if used, auxiliary; 'scales' of `AuxiliaryGenerator`.
    """
    merged, scales = self.backbone.below(visible, infrared, image, train=True), {}
    maps = split(merged, 2 if image is None else 3)
    if self.generator is not None:
      generated, scales = self.generator(*maps, train=True)
      maps = (*maps, generated)
    if len(maps) == 3 and not self.is_initializing():
      return {**self._classify_separately(*maps), "scales": scales}
    return {**self.classify(merge(*maps)), "scales": scales}

  def classify(self, merged: Array) -> dict[str, Array]:
    """Maps the map at the cut [n, h', w', c'] to features and logits, with batch statistics."""
    pooled = pool(self.backbone.above(merged, train=True), self.pooling)
    after_neck, logits = self.head(pooled, train=True)
    return {"before_neck": pooled, "after_neck": after_neck, "logits": logits}

  def _classify_separately(
    self, visible: Array, infrared: Array, auxiliary: Array
  ) -> dict[str, Array]:
    """Like `classify`, with separate batch statistics for the auxiliary maps, which are discarded.

    Running statistics are then those of the two modalities used at test time.
    """
    network, variables = self.unbind()
    separate, _ = network.apply(
      variables, auxiliary, mutable=["batch_stats"], method=MUNNetwork.classify
    )
    pair = self.classify(merge(visible, infrared))
    return {name: merge(*split(rows), separate[name]) for name, rows in pair.items()}

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the map before pooling [n, h/16, w/16, c]."""
    return self.backbone.single(images, modality)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the map before pooling to the feature after or before the neck [n, c]."""
    del modality
    return self.head.embed(pool(features, self.pooling), place)
