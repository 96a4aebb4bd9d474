"""SAAI: parts aligned by learned prototypes, and centres of identities kept apart.

Reference:
  Fang, Yang, Fu, "Visible-Infrared Person Re-Identification via Semantic Alignment and Affinity
  Inference", ICCV 2023, and its published code.

Differs from the paper: its affinity inference (AIM) is transductive, and is not part of the method;
`eval.affinity` applies it to any method (`evaluators.affinity`). An epoch has a fixed number of
steps (`data.training.sampler`).

Choices where the paper is silent: none; all settings are those of the published code. Two are
surprising: the weight of the part diversity is applied twice, so that 0.5 acts as 0.25; and in the
mutual term the other modality's average is the target, unlike MPANet's.
"""

import dataclasses
import math
from typing import Annotated

import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import Share, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.saai.dual_head import DualHead
from vireid_jax.methods.saai.safl import SAFL
from vireid_jax.models.head import Place, pool
from vireid_jax.models.mam import MAMNetwork, trunk
from vireid_jax.models.modality_classifiers import COLLECTION, ModalityClassifiers
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, Width
from vireid_jax.models.two_stream import merge, merge_labels, split

NO_MUTUAL = {"modality_weight": 0.0, "mutual_weight": 0.0}
NO_CENTER = {"center_weight": 0.0, **NO_MUTUAL}
NO_DIVERSITY = {"diversity_weight": 0.0, **NO_CENTER}
# The ablation: each row adds one component to the row before.
VARIANTS = {
  "base": {"mam": False, "parts": 0, **NO_DIVERSITY},
  "mam": {"parts": 0, **NO_DIVERSITY},
  "parts": NO_DIVERSITY,
  "diversity": NO_CENTER,
  "center": NO_MUTUAL,
}


class SAAINetwork(MAMNetwork):
  """One ResNet for both modalities with MAM after stages 3 and 4, then SAFL and the head."""

  safl: SAFL | None
  head: DualHead
  modality_classifiers: ModalityClassifiers | None

  def __call__(self, visible: Array, infrared: Array, rate: Array) -> dict[str, Array]:
    """Maps paired images [b, h, w, 3] to what the loss reads; rows of images are merged."""
    x = self.forward_features(merge(visible, infrared), train=True)
    feature, attention = self._pool_map(x)
    after_neck, logits = self.head(feature, train=True)
    outputs = {"feature": feature, "attention": attention, "logits": logits}
    if self.modality_classifiers is not None:
      outputs["modality_logits"] = self.modality_classifiers(*split(after_neck), rate)
    return outputs

  def forward_head(self, features: Array, modality: str, place: str) -> Array:
    """Maps the last map to the feature after or before the modality's neck [n, d]."""
    return self.head.embed(self._pool_map(features)[0], modality, place)

  def attention(self, images: Array) -> Array:
    """Maps images [n, h, w, 3] to the attention of each part [n, h/16, w/16, parts]."""
    return self._pool_map(self.forward_features(images))[1]

  def _pool_map(self, x: Array) -> tuple[Array, Array | None]:
    return (pool(x, "average"), None) if self.safl is None else self.safl(x)


@dataclasses.dataclass(frozen=True)
class SAAI:
  """L = identities (with their mutual term) + centre separation + part diversity.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Number of steps in an epoch, for the update rate.
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    mam: Use MPANet's modality alleviation modules.
    parts: Number of part prototypes; with 0 the map is average-pooled.
    diversity_weight: Weight of the part diversity, applied twice as in the published code: 0.5
      acts as 0.25. A weight of 0 leaves its term out.
    center_weight: Weight of the centre separation.
    margin: Distance up to which it pushes centres apart.
    slack: Distance from its centre down to which it pulls a feature.
    modality_weight: Weight of the cross-entropy of each modality's own classifier.
    mutual_weight: Weight of the cross-entropy towards the other modality's averaged classifier.
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
  parts: Annotated[int, Whole(0, 256)] = 7
  diversity_weight: Weight = 0.5
  center_weight: Weight = 1.0
  margin: Weight = 0.7
  slack: Weight = 0.01
  modality_weight: Weight = 1.0
  mutual_weight: Weight = 1.0
  update_rate: Share = 0.02
  feature: Place = "after_neck"
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)
    if self.diversity_weight and self.parts < 2:
      raise UserError(
        f"method saai: the part diversity compares parts, but parts = {self.parts}; set "
        "method.diversity_weight=0 too"
      )

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def network(self) -> SAAINetwork:
    """The Linen module."""
    numerics = self.numerics
    return SAAINetwork(
      **trunk(self.depth, self.width, self.mam, numerics),
      safl=SAFL(self.parts, numerics) if self.parts else None,
      head=DualHead(self.num_classes, numerics),
      modality_classifiers=(
        ModalityClassifiers(self.num_classes, numerics) if self._is_mutual else None
      ),
    )

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    return {
      "center_separation": self.center_weight * self.margin,
      "mutual": self.mutual_weight * math.log(self.num_classes),
    }

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
      common.average_rate(self, step),
      mutable=["batch_stats", COLLECTION],
    )
    labels = merge_labels(batch["label"])
    terms = {"identity": losses.cross_entropy(outputs["logits"], labels)}
    if self._is_mutual:
      terms |= self._mutual_terms(outputs["modality_logits"], batch["label"])
    if self.center_weight:
      apart = losses.center_cluster(
        outputs["feature"], labels, margin=self.margin, slack=self.slack
      )
      terms["center_separation"] = self.center_weight * apart
    if self.diversity_weight:
      # The published code weighs the term where it is computed, and again in the sum.
      weight = self.diversity_weight**2
      terms["part_diversity"] = weight * losses.part_diversity(outputs["attention"])
    return LossOutput(
      terms=terms,
      metrics=common.accuracy(outputs["logits"], labels),
      collections=common.collections(variables, updates),
    )

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """Returns the attention of each part; empty without parts. See `methods.base.Method`."""
    del modality
    if not self.parts:
      return {}
    maps = self.network.apply(variables, images, method=SAAINetwork.attention)
    return {f"part {part + 1}": maps[..., part] for part in range(self.parts)}

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
      own, other = merge(visible, infrared), merge(visible_by_other, infrared_by_other)
      terms["mutual"] = self.mutual_weight * losses.soft_cross_entropy(own, other)
    return terms
