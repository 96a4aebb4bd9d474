"""TMPA's network: extractors, transfers of specific features, and heads."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.methods.tmpa.mfe import MFE
from vireid_jax.methods.tmpa.mft import MFT
from vireid_jax.models.head import Head, pool
from vireid_jax.models.two_stream import merge, split


class TMPANetwork(nn.Module):
  """Computes shared and specific features of an image, and transfers the other modality's.

  At test time an image uses only its modality's stream, the shared extractor, its modality's
  specific extractor and transfer. Modules that a variant lacks are None.
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
    """Maps paired images [b, h, w, 3] to what the loss reads.

    Returns:
      'logits' [2b, classes] of the retrieval feature, 'shared' and 'shared_after_neck' [2b, c],
      merged. With specific extractors also 'specific', 'specific_after_neck' and 'specific_logits',
      visible and infrared [b, ...]. With the transfer also 'shared_logits' [2b, classes], and
      'transferred_after_neck' and 'transferred_logits': visible features transferred from infrared
      images, and the reverse, through the heads of the true features.
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
    outputs = [head(x, train=True) for head, x in zip(heads, specific, strict=True)]
    after_neck, logits = zip(*outputs, strict=True)
    return {"specific": specific, "specific_after_neck": after_neck, "specific_logits": logits}

  def _transfer(
    self, maps: Array, specific_maps: tuple[Array, Array], outputs: dict
  ) -> tuple[Array, dict]:
    """Returns the modality-complete feature [2b, 3c] and the transfer's outputs."""
    shared_visible, shared_infrared = split(maps)
    to_infrared = self.from_visible(shared_visible, specific_maps[0], train=True)
    to_visible = self.from_infrared(shared_infrared, specific_maps[1], train=True)
    transferred_visible, transferred_infrared = (
      pool(x, self.pooling) for x in (to_visible, to_infrared)
    )
    visible, infrared = outputs["specific"]
    features = (
      outputs["shared"],
      merge(visible, transferred_visible),
      merge(transferred_infrared, infrared),
    )
    pairs = (
      (self.visible_head, transferred_visible),
      (self.infrared_head, transferred_infrared),
    )
    frozen = [head.frozen_logits(transferred) for head, transferred in pairs]
    after_neck, logits = zip(*frozen, strict=True)
    shared_after_neck, shared_logits = self.shared_head(outputs["shared"], train=True)
    return complete(*features), {
      "transferred_after_neck": after_neck,
      "transferred_logits": logits,
      "shared_after_neck": shared_after_neck,
      "shared_logits": shared_logits,
    }

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] to the shared map, followed by the specific one if transferred.

    Returns:
      float [n, h/16, w/16, c] or [n, h/16, w/16, 2c].
    """
    if self.from_visible is None:
      return self.backbone.shared_map(images, modality)
    return jnp.concatenate(self.backbone.single(images, modality), axis=-1)

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the output of `forward_features` to the feature after or before the neck [n, d]."""
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
    """Maps images [n, h, w, 3] to the mean square of the shared map over channels [n, h', w']."""
    maps = self.backbone.shared_map(images, modality)
    return jnp.mean(maps.astype(jnp.float32) ** 2, axis=-1)


def complete(shared: Array, visible: Array, infrared: Array) -> Array:
  """Concatenates three features [n, c] into the modality-complete one [n, 3c].

  The order is the same for both modalities.
  """
  return jnp.concatenate([shared, visible, infrared], axis=-1)
