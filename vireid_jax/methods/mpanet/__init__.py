"""MPANet: cross-modality nuances found by masks, aligned modality by modality.

Reference:
  Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR
  2021, and its published code for SYSU-MM01.

Differs from the paper: nothing on purpose. An epoch has a fixed number of steps
(`data.training.sampler`).

Choices where the paper is silent: none; all settings are those of the published code. Two of them
surprise: the modality classifiers' cross-entropies weigh 1.0, because the code adds its weight of
0.5 twice; and in the mutual term the *student* is the target of the divergence, so that its
gradient flows through the target.
"""

import dataclasses
from typing import Annotated

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import Share, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.mpanet.mam import MAM
from vireid_jax.methods.mpanet.modality_classifiers import COLLECTION, ModalityClassifiers
from vireid_jax.methods.mpanet.pam import PAM
from vireid_jax.models.head import Head, Place, pool
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.numerics import ConvImplementation, Dtype, Numerics
from vireid_jax.models.resnet import Depth, ResNet, Width
from vireid_jax.models.two_stream import merge, split


class MPANetNetwork(nn.Module):
  """One ResNet for both modalities with MAM after stages 3 and 4, then PAM and heads."""

  lower: ResNet
  upper: ResNet
  mam3: MAM | None
  mam4: MAM | None
  pam: PAM | None
  head: Head
  modality_classifiers: ModalityClassifiers | None

  def __call__(self, visible: Array, infrared: Array, rate: Array) -> dict[str, Array]:
    """Maps [b, h, w, 3] twice to all that the loss reads; merged where a row is an image."""
    feature, masks = self._pool(merge(visible, infrared), train=True)
    after_neck, logits = self.head(feature, train=True)
    outputs = {"feature": feature, "masks": masks, "logits": logits}
    if self.modality_classifiers is not None:
      outputs["modality_logits"] = self.modality_classifiers(*split(after_neck), rate)
    return outputs

  def embed(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] of either modality to the feature after the neck [n, d]."""
    return self.head.embed(self.pool(images))

  def pool(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] of either modality to the feature before the neck [n, d]."""
    return self._pool(images, train=False)[0]

  def forward_features(self, images: Array, *, train: bool = False) -> Array:
    """Maps images [n, h, w, 3] of either modality to the map before PAM [n, h/16, w/16, c]."""
    x = self.lower(images, train=train)
    x = x if self.mam3 is None else self.mam3(x)
    x = self.upper(x, train=train)
    return x if self.mam4 is None else self.mam4(x)

  def forward_head(self, forward_features: Array, after_neck: bool) -> Array:
    """Maps what `forward_features` gives to the feature after or before the neck [n, d]."""
    feature, _ = self._pool_map(forward_features)
    return self.head.embed(feature) if after_neck else feature

  def masks(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] to the masks of PAM [n, h/16, w/16, parts]."""
    return self._pool(images, train=False)[1]

  def _pool(self, images: Array, *, train: bool) -> tuple[Array, Array | None]:
    return self._pool_map(self.forward_features(images, train=train))

  def _pool_map(self, x: Array) -> tuple[Array, Array | None]:
    return (pool(x, "average"), None) if self.pam is None else self.pam(x)


@dataclasses.dataclass(frozen=True)
class MPANet:
  """L = identity + separation + centre cluster + modality identities + mutual mean learning.

  Attributes:
    num_classes: training identities.
    steps_per_epoch: by which the epoch, and with it the averages' rate, is known.
    depth: of the ResNet: 18, 34 or 50.
    width: channels of its stem; 64 is the full size.
    mam: with the modality alleviation modules.
    pam: with the pattern alignment module; without it the feature is the average of the map.
    parts: masks of `pam`.
    separation, center_cluster, mutual: with these terms; `mutual` is the modality classifiers with
      their cross-entropies and the divergence.
    separation_weight, center_cluster_weight, modality_weight, mutual_weight: of the terms;
      `modality_weight` is that of either modality's cross-entropy.
    margin: of the centre cluster loss.
    update_rate: share of a modality classifier taken into its average per step, up to epoch 99;
      it falls with 100 / (epoch + 1) from then on.
    feature: what retrieval uses, 'after_neck' or 'before_neck'.
    dtype, conv_impl, unbiased_variance: see `models.numerics.Numerics`.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  mam: bool = True
  pam: bool = True
  parts: Annotated[int, Whole(1, 256)] = 6
  separation: bool = True
  center_cluster: bool = True
  mutual: bool = True
  separation_weight: Weight = 0.5
  center_cluster_weight: Weight = 1.0
  modality_weight: Weight = 1.0
  mutual_weight: Weight = 2.5
  margin: Weight = 0.7
  update_rate: Share = 0.2
  feature: Place = "after_neck"
  dtype: Dtype = "auto"
  conv_impl: ConvImplementation = "auto"
  unbiased_variance: bool = False

  def __post_init__(self):
    options.check(self)
    if self.separation and not (self.pam and self.parts > 1):
      raise UserError(
        f"method mpanet: the separation loss compares masks, but pam = {self.pam} and parts = "
        f"{self.parts}; set method.separation=False too"
      )

  @property
  def network(self) -> MPANetNetwork:
    """The Linen module."""
    numerics = self._numerics
    return MPANetNetwork(
      lower=ResNet(self.depth, self.width, 0, 4, numerics=numerics),
      upper=ResNet(self.depth, self.width, 4, 5, numerics=numerics),
      mam3=MAM(numerics=numerics) if self.mam else None,
      mam4=MAM(numerics=numerics) if self.mam else None,
      pam=PAM(self.parts, numerics) if self.pam else None,
      head=Head(self.num_classes, numerics, nn.initializers.ones, torch_uniform),
      modality_classifiers=(
        ModalityClassifiers(self.num_classes, numerics) if self.mutual else None
      ),
    )

  @property
  def trivial_values(self) -> dict[str, float]:
    """What terms are when all features are equal; see `methods.base.Method`."""
    return {"center_cluster": self.center_cluster_weight * self.margin}

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters, statistics and averages; see `methods.base.Method`."""
    return dict(self.network.init(rng, batch["visible"], batch["infrared"], jnp.float32(0)))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """The paper's sum of losses; see `methods.base.Method`."""
    del rngs
    outputs, updates = self.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      self.average_rate(step),
      mutable=["batch_stats", COLLECTION],
    )
    labels = merge(batch["label"], batch["label"])
    terms = {"identity": losses.cross_entropy(outputs["logits"], labels)}
    if self.separation:
      terms["separation"] = self.separation_weight * losses.separation(outputs["masks"])
    if self.center_cluster:
      cluster = losses.center_cluster(outputs["feature"], labels, margin=self.margin)
      terms["center_cluster"] = self.center_cluster_weight * cluster
    if self.mutual:
      terms |= self._mutual_terms(outputs["modality_logits"], batch["label"])
    return LossOutput(
      terms=terms,
      metrics={"accuracy": (outputs["logits"].argmax(-1) == labels).mean()},
      collections={k: v for k, v in variables.items() if k != "params"} | updates,
    )

  def embed(self, variables: Variables, images: Array, modality: str) -> Array:
    """The feature after or before the neck, the same for both modalities; see `Method`."""
    del modality
    name = MPANetNetwork.embed if self.feature == "after_neck" else MPANetNetwork.pool
    return self.network.apply(variables, images, method=name)

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """The masks of PAM, one map each; none without it. See `methods.base.Method`."""
    del modality
    if not self.pam:
      return {}
    masks = self.network.apply(variables, images, method=MPANetNetwork.masks)
    return {f"pattern {part + 1}": masks[..., part] for part in range(self.parts)}

  def forward_features(self, variables: Variables, images: Array, modality: str) -> Array:
    """The map before PAM, the same for both modalities; see `methods.base.Method`."""
    del modality
    return self.network.apply(variables, images, method=MPANetNetwork.forward_features)

  def forward_head(self, variables: Variables, forward_features: Array, modality: str) -> Array:
    """The feature from the map before PAM; see `methods.base.Method`."""
    del modality
    after_neck = self.feature == "after_neck"
    return self.network.apply(
      variables, forward_features, after_neck, method=MPANetNetwork.forward_head
    )

  def average_rate(self, step: Array) -> Array:
    """The share of the classifiers taken into their averages: scalar in [0, 1], by epoch."""
    # Published code counts epochs from 1.
    epoch = jnp.asarray(step // self.steps_per_epoch + 1, self._numerics.param_dtype)
    return self.update_rate * jnp.minimum(100 / (epoch + 1), 1)

  def _mutual_terms(self, logits: tuple[Array, ...], labels: Array) -> dict[str, Array]:
    visible, infrared, visible_by_other, infrared_by_other = logits
    mutual = losses.divergence(merge(visible, infrared), merge(visible_by_other, infrared_by_other))
    return {
      "visible_identity": self.modality_weight * losses.cross_entropy(visible, labels),
      "infrared_identity": self.modality_weight * losses.cross_entropy(infrared, labels),
      "mutual": self.mutual_weight * mutual,
    }

  @property
  def _numerics(self) -> Numerics:
    return Numerics(self.dtype, self.conv_impl, self.unbiased_variance)
