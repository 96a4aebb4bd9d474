"""The network of TMPA: extractors, transfers of specific features, and heads."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.methods.tmpa.mfe import MFE
from vireid_jax.methods.tmpa.mft import MFT
from vireid_jax.models.head import Head, pool
from vireid_jax.models.two_stream import merge, split


class TMPANetwork(nn.Module):
  """Shared and specific features of each image, and the other modality's transferred from them.

  At test an image passes its own stream, the shared and its own specific extractor, and its own
  direction of the transfer; nothing else is used. Modules that a variant lacks are None.
  """

  backbone: MFE
  from_visible: MFT | None
  from_infrared: MFT | None
  head: Head
  shared_head: Head | None
  visible_head: Head | None
  infrared_head: Head | None
  pooling: str

  def __call__(self, visible: Array, infrared: Array) -> dict[str, Array | tuple[Array, ...]]:
    """Maps [b, h, w, 3] twice to all that the loss reads.

    Returns:
      'logits' [2b, classes] of the retrieval feature, 'shared' and 'shared_after_neck' [2b, c],
      merged. With the specific extractors 'specific', 'specific_after_neck' and 'specific_logits',
      visible and infrared [b, ...]. With the transfer 'shared_logits' [2b, classes], and
      'transferred_after_neck' and 'transferred_logits': those of visible features made from
      infrared images, and the reverse, under the heads of the true ones.
    """
    maps, specific_maps = self.backbone(visible, infrared, train=True)
    outputs = {"shared": pool(maps, self.pooling)}
    feature = outputs["shared"]
    if specific_maps is not None:
      outputs |= self._specific(specific_maps)
    if self.from_visible is not None:
      feature, transferred = self._transfer(maps, specific_maps, outputs)
      outputs |= transferred
    after_neck, outputs["logits"] = self.head(feature, train=True)
    outputs.setdefault("shared_after_neck", after_neck)
    return outputs

  def _specific(self, maps: tuple[Array, Array]) -> dict[str, tuple[Array, Array]]:
    specific = tuple(pool(x, self.pooling) for x in maps)
    heads = self.visible_head, self.infrared_head
    seen = [head(x, train=True) for head, x in zip(heads, specific, strict=True)]
    after_neck, logits = zip(*seen, strict=True)
    return {"specific": specific, "specific_after_neck": after_neck, "specific_logits": logits}

  def _transfer(
    self, maps: Array, specific_maps: tuple[Array, Array], outputs: dict
  ) -> tuple[Array, dict]:
    """Returns the modality-complete feature [2b, 3c] and what `__call__` says of the transfer."""
    of_visible, of_infrared = split(maps)
    made_infrared = pool(self.from_visible(of_visible, specific_maps[0], train=True), self.pooling)
    made_visible = pool(self.from_infrared(of_infrared, specific_maps[1], train=True), self.pooling)
    visible, infrared = outputs["specific"]
    parts = outputs["shared"], merge(visible, made_visible), merge(made_infrared, infrared)
    pairs = (self.visible_head, made_visible), (self.infrared_head, made_infrared)
    seen = [head.frozen_logits(transferred) for head, transferred in pairs]
    after_neck, logits = zip(*seen, strict=True)
    shared_after_neck, shared_logits = self.shared_head(outputs["shared"], train=True)
    return complete(*parts), {
      "transferred_after_neck": after_neck,
      "transferred_logits": logits,
      "shared_after_neck": shared_after_neck,
      "shared_logits": shared_logits,
    }

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] to the shared map, with a transfer concatenated to the specific one.

    Returns:
      float [n, h/16, w/16, c] or [n, h/16, w/16, 2c].
    """
    if self.from_visible is None:
      return self.backbone.shared_map(images, modality)
    return jnp.concatenate(self.backbone.single(images, modality), axis=-1)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps what `forward_features` gives to the feature after or before the neck [n, d]."""
    if self.from_visible is None:
      return self.head.embed(pool(features, self.pooling), place)
    maps = jnp.split(features, 2, axis=-1)
    is_visible = modality == MODALITIES[0]
    transfer = self.from_visible if is_visible else self.from_infrared
    shared, specific = (pool(x, self.pooling) for x in maps)
    transferred = pool(transfer(*maps, train=False), self.pooling)
    visible, infrared = (specific, transferred) if is_visible else (transferred, specific)
    return self.head.embed(complete(shared, visible, infrared), place)

  def energy(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] to the mean square of their shared map over channels [n, h', w']."""
    maps = self.backbone.shared_map(images, modality)
    return jnp.mean(maps.astype(jnp.float32) ** 2, axis=-1)


def complete(shared: Array, visible: Array, infrared: Array) -> Array:
  """Concatenates three features [n, c] to the modality-complete one [n, 3c].

  The order is the same for images of either modality.
  """
  return jnp.concatenate([shared, visible, infrared], axis=-1)
