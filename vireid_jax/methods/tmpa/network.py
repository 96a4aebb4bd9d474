"""The network of TMPA: extractors, transfers of specific features, and heads."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.methods.tmpa.fusion import Fusion
from vireid_jax.methods.tmpa.mfe import MFE
from vireid_jax.methods.tmpa.mft import MFT
from vireid_jax.models.head import Head, pool
from vireid_jax.models.two_stream import merge, split


class TMPANetwork(nn.Module):
  """Shared and own specific features of each image, and the other modality's made from them.

  At test an image passes its own stream, the shared and its own specific extractor, and its own
  direction of the transfer; nothing else is touched. Parts that a variant lacks are None.
  """

  backbone: MFE
  from_visible: MFT | None
  from_infrared: MFT | None
  fusion: Fusion | None
  head: Head
  shared_head: Head | None
  visible_head: Head | None
  infrared_head: Head | None
  pooling: str

  def __call__(self, visible: Array, infrared: Array) -> dict[str, Array | tuple[Array, ...]]:
    """Maps [b, h, w, 3] twice to all that the loss reads.

    Returns:
      'feature' [2b, d], 'logits', 'shared' and 'shared_after_neck' [2b, c], merged; 'parts', of
      which the feature is made, each [2b, c]: shared or, with the transfer, shared, visible and
      infrared; with the specific extractors 'own', 'own_after_neck' and 'own_logits', visible and
      infrared [b, ...];
      with the transfer 'shared_logits' [2b, ...], and 'made', 'made_after_neck' and
      'made_logits': the visible features made of infrared images, and the reverse, as the heads of
      the true ones see them.
    """
    maps, own_maps = self.backbone(visible, infrared, train=True)
    outputs = {"shared": pool(maps, self.pooling)}
    outputs |= {"feature": outputs["shared"], "parts": (outputs["shared"],)}
    if own_maps is not None:
      outputs |= self._specific(own_maps)
    if self.from_visible is not None:
      outputs |= self._transfer(maps, own_maps, outputs)
    after_neck, outputs["logits"] = self.head(outputs["feature"], train=True)
    outputs.setdefault("shared_after_neck", after_neck)
    return outputs

  def _specific(self, maps: tuple[Array, Array]) -> dict[str, tuple[Array, Array]]:
    own = tuple(pool(x, self.pooling) for x in maps)
    heads = self.visible_head, self.infrared_head
    seen = [head(x, train=True) for head, x in zip(heads, own, strict=True)]
    after_neck, logits = zip(*seen, strict=True)
    return {"own": own, "own_after_neck": after_neck, "own_logits": logits}

  def _transfer(self, maps: Array, own_maps: tuple[Array, Array], outputs: dict) -> dict:
    of_visible, of_infrared = split(maps)
    made_infrared = pool(self.from_visible(of_visible, own_maps[0], train=True), self.pooling)
    made_visible = pool(self.from_infrared(of_infrared, own_maps[1], train=True), self.pooling)
    own_visible, own_infrared = outputs["own"]
    visible, infrared = merge(own_visible, made_visible), merge(made_infrared, own_infrared)
    parts = outputs["shared"], visible, infrared
    made = made_visible, made_infrared
    heads = self.visible_head, self.infrared_head
    judged = [head.judge(x) for head, x in zip(heads, made, strict=True)]
    made_after_neck, made_logits = zip(*judged, strict=True)
    shared_after_neck, shared_logits = self.shared_head(outputs["shared"], train=True)
    return {
      "feature": self.fusion(*parts),
      "parts": parts,
      "made": made,
      "made_after_neck": made_after_neck,
      "made_logits": made_logits,
      "shared_after_neck": shared_after_neck,
      "shared_logits": shared_logits,
    }

  def embed(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the feature after the neck [n, d]."""
    return self.head.embed(self.pool_single(images, modality))

  def pool_single(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the feature before the neck [n, d]."""
    return self._pool_maps(self._maps(images, modality), modality)

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] to the shared map and, with a transfer, behind it their own one."""
    return jnp.concatenate(self._maps(images, modality), axis=-1)

  def forward_head(self, forward_features: Array, modality: str, after_neck: bool) -> Array:
    """Maps what `forward_features` gives to the feature after or before the neck [n, d]."""
    count = 1 if self.from_visible is None else 2
    pooled = self._pool_maps(tuple(jnp.split(forward_features, count, axis=-1)), modality)
    return self.head.embed(pooled) if after_neck else pooled

  def _maps(self, images: Array, modality: str) -> tuple[Array, ...]:
    if self.from_visible is None:
      return (self.backbone.shared_map(images, modality),)
    return self.backbone.single(images, modality)

  def _pool_maps(self, maps: tuple[Array, ...], modality: str) -> Array:
    if self.from_visible is None:
      return pool(maps[0], self.pooling)
    is_visible = modality == MODALITIES[0]
    transfer = self.from_visible if is_visible else self.from_infrared
    shared, own = (pool(x, self.pooling) for x in maps)
    made = pool(transfer(*maps, train=False), self.pooling)
    return self.fusion(shared, own, made) if is_visible else self.fusion(shared, made, own)

  def energy(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] to the mean square of their shared map over channels [n, h', w']."""
    maps = self.backbone.shared_map(images, modality)
    return jnp.mean(maps.astype(jnp.float32) ** 2, axis=-1)
