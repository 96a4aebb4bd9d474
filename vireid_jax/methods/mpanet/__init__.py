"""MPANet: part features from learned masks, with mutual learning between the modalities.

Reference:
  Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR
  2021, and its published code for SYSU-MM01.

Differs from the paper: nowhere on purpose. An epoch has a fixed number of steps
(`data.training.sampler`).

Choices where the paper is silent: none; all settings are those of the published code. Two are
surprising: the modality classifiers' cross-entropies have weight 1.0, because the code adds its
weight of 0.5 twice; and in the mutual term the *student* is the target of the divergence, so that
the gradient flows through the target.
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
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.mpanet.pam import PAM
from vireid_jax.models.head import Head, Place, pool
from vireid_jax.models.mam import MAMNetwork, trunk
from vireid_jax.models.modality_classifiers import COLLECTION, ModalityClassifiers
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, Width
from vireid_jax.models.two_stream import merge, merge_labels, split

NO_MUTUAL = {"modality_weight": 0.0, "mutual_weight": 0.0}
NO_CLUSTER = {"center_cluster_weight": 0.0, **NO_MUTUAL}
NO_SEPARATION = {"separation_weight": 0.0, **NO_CLUSTER}
# The ablation: each row adds one component to the row before.
VARIANTS = {
  "base": {"mam": False, "pam": False, **NO_SEPARATION},
  "mam": {"pam": False, **NO_SEPARATION},
  "pam": NO_SEPARATION,
  "separation": NO_CLUSTER,
  "center_cluster": NO_MUTUAL,
}


class MPANetNetwork(MAMNetwork):
  """One ResNet for both modalities with MAM after stages 3 and 4, then PAM and heads."""

  pam: PAM | None
  head: Head
  modality_classifiers: ModalityClassifiers | None

  def __call__(self, visible: Array, infrared: Array, rate: Array) -> dict[str, Array]:
    """Maps paired images [b, h, w, 3] to what the loss reads; rows of images are merged."""
    feature, masks = self._pool_map(self.forward_features(merge(visible, infrared), train=True))
    after_neck, logits = self.head(feature, train=True)
    outputs = {"feature": feature, "masks": masks, "logits": logits}
    if self.modality_classifiers is not None:
      outputs["modality_logits"] = self.modality_classifiers(*split(after_neck), rate)
    return outputs

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the map before PAM to the feature after or before the neck [n, d]."""
    del modality
    return self.head.embed(self._pool_map(features)[0], place)

  def masks(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] to the masks of PAM [n, h/16, w/16, parts]."""
    return self._pool_map(self.forward_features(images))[1]

  def _pool_map(self, x: Array) -> tuple[Array, Array | None]:
    return (pool(x, "average"), None) if self.pam is None else self.pam(x)


@dataclasses.dataclass(frozen=True)
class MPANet:
  """L = identity + separation + centre cluster + modality identities + mutual mean learning.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Number of steps in an epoch, for the update rate.
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    mam: Use the modality alleviation modules.
    pam: Use the pattern alignment module; without it the map is average-pooled.
    parts: Number of PAM's masks.
    separation_weight: Weight of the separation loss. A weight of 0 leaves its term out.
    center_cluster_weight: Weight of the centre cluster loss.
    margin: Margin of the centre cluster loss.
    modality_weight: Weight of the cross-entropy of each modality's own classifier.
    mutual_weight: Weight of the divergence between the modality classifiers.
    update_rate: Weight of a modality classifier in its moving average per step, up to epoch 99;
      then it decays with 100 / (epoch + 1).
    feature: Retrieval feature, 'after_neck' or 'before_neck'.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  mam: bool = True
  pam: bool = True
  parts: Annotated[int, Whole(1, 256)] = 6
  separation_weight: Weight = 0.5
  center_cluster_weight: Weight = 1.0
  margin: Weight = 0.7
  modality_weight: Weight = 1.0
  mutual_weight: Weight = 2.5
  update_rate: Share = 0.2
  feature: Place = "after_neck"
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)
    if self.separation_weight and not (self.pam and self.parts > 1):
      raise UserError(
        f"method mpanet: the separation loss compares masks, but pam = {self.pam} and parts = "
        f"{self.parts}; set method.separation_weight=0 too"
      )

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def network(self) -> MPANetNetwork:
    """The Linen module."""
    numerics = self.numerics
    return MPANetNetwork(
      **trunk(self.depth, self.width, self.mam, numerics),
      pam=PAM(self.parts, numerics) if self.pam else None,
      head=Head(self.num_classes, numerics, nn.initializers.ones, torch_uniform),
      modality_classifiers=(
        ModalityClassifiers(self.num_classes, numerics) if self._is_mutual else None
      ),
    )

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    return {"center_cluster": self.center_cluster_weight * self.margin}

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters, statistics and averages; see `methods.base.Method`."""
    return dict(self.network.init(rng, batch["visible"], batch["infrared"], jnp.float32(0)))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """Computes the paper's loss; see `methods.base.Method`."""
    del rngs
    outputs, updates = self.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      self.average_rate(step),
      mutable=["batch_stats", COLLECTION],
    )
    labels = merge_labels(batch["label"])
    terms = {"identity": losses.cross_entropy(outputs["logits"], labels)}
    if self.separation_weight:
      terms["separation"] = self.separation_weight * losses.separation(outputs["masks"])
    if self.center_cluster_weight:
      cluster = losses.center_cluster(outputs["feature"], labels, margin=self.margin)
      terms["center_cluster"] = self.center_cluster_weight * cluster
    if self._is_mutual:
      terms |= self._mutual_terms(outputs["modality_logits"], batch["label"])
    return LossOutput(
      terms=terms,
      metrics=common.accuracy(outputs["logits"], labels),
      collections=common.collections(variables, updates),
    )

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """Returns PAM's masks; empty without PAM. See `methods.base.Method`."""
    del modality
    if not self.pam:
      return {}
    masks = self.network.apply(variables, images, method=MPANetNetwork.masks)
    return {f"pattern {part + 1}": masks[..., part] for part in range(self.parts)}

  def average_rate(self, step: Array) -> Array:
    """Returns the weight of the classifiers in their moving averages: scalar in [0, 1]."""
    return common.average_rate(self, step)

  @property
  def _is_mutual(self) -> bool:
    """Whether the modality classifiers are used."""
    return bool(self.modality_weight or self.mutual_weight)

  def _mutual_terms(self, logits: tuple[Array, ...], labels: Array) -> dict[str, Array]:
    visible, infrared, visible_by_other, infrared_by_other = logits
    terms = {}
    if self.modality_weight:
      terms["visible_identity"] = self.modality_weight * losses.cross_entropy(visible, labels)
      terms["infrared_identity"] = self.modality_weight * losses.cross_entropy(infrared, labels)
    if self.mutual_weight:
      students = merge(visible, infrared)
      teachers = merge(visible_by_other, infrared_by_other)
      terms["mutual"] = self.mutual_weight * losses.divergence(students, teachers)
    return terms
