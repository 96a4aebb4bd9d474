"""PMT: a Vision Transformer of both modalities that learns from gray images first.

Reference:
  Lu et al., "Learning Progressive Modality-shared Transformers for Effective Visible-Infrared
  Person Re-identification", AAAI 2023, and its published code.

Progressive learning: at first visible images are gray, and triplets compare images of one modality.
Then they are in colour, triplets compare all images, and two losses join: MSEL makes an identity as
far from its images of the other modality as from those of its own, DCL gathers an identity around
its centre and pushes near features of others away from it.

Differs from the paper: nowhere on purpose.

Choices where the paper is silent: none; everything follows the published code.
"""

import dataclasses
from typing import Annotated

import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.durations import Clock, Duration
from vireid_jax.common.options import Weight
from vireid_jax.common.types import Batch, Variables
from vireid_jax.data.training.photometric import pillow_gray
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.common import Transformer
from vireid_jax.models.head import Place
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Width
from vireid_jax.models.two_stream import merge_labels, split
from vireid_jax.models.vit import Backbone
from vireid_jax.models.vit_network import ViTNetwork
from vireid_jax.runtime.mesh import on_all_devices

# The ablation: cross-entropy and triplets from the start, then one part more each.
VARIANTS = {
  "base": {"gray_until": "", "dcl_weight": 0.0, "msel_weight": 0.0},
  "progressive": {"dcl_weight": 0.0, "msel_weight": 0.0},
  "msel": {"dcl_weight": 0.0},
  "dcl": {"msel_weight": 0.0},
}
SMOKE = {"backbone": "vit_ti16", "width": 8, "vit": {"depth": 2}}


@dataclasses.dataclass(frozen=True)
class PMT:
  """L = cross-entropy of each modality + triplets, + MSEL and DCL after the gray images.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Number of steps in an epoch, for `gray_until`.
    backbone: Vision Transformer: 'vit_ti16', 'vit_s16' or 'vit_b16', or DeiT's of the same sizes.
    width: Channels of an attention head; 64 is the full size.
    vit: Other options of the Transformer.
    feature: Retrieval feature, 'after_neck' or 'before_neck' for the class token.
    margin: Margin of the triplets.
    gray_until: How long visible images are gray; a duration, '' for never.
    msel_weight: Weight of MSEL; 0 leaves it out.
    dcl_weight: Weight of DCL; 0 leaves it out.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  backbone: Backbone = "vit_b16"
  width: Width = 64
  vit: Transformer = Transformer(stride=12, dropout=0.03, epsilon=1e-5)
  feature: Place = "after_neck"
  margin: Weight = 0.1
  gray_until: Annotated[str, Duration()] = "6 epochs"
  msel_weight: Weight = 0.5
  dcl_weight: Weight = 0.5
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)
    _ = self._gray_steps  # refuses an impossible duration before anything compiles

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head
  attention = common.token_attention
  token_grid = common.token_grid

  @property
  def network(self) -> ViTNetwork:
    """The Linen module."""
    return common.vit_network(self)

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    return {"triplet": self.margin} | ({"dcl": self.dcl_weight} if self.dcl_weight else {})

  @property
  def _gray_steps(self) -> int:
    clock = Clock(self.steps_per_epoch, None)
    return clock.steps(self.gray_until, key="method.gray_until")

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics; see `methods.base.Method`."""
    rngs = {"params": rng, "dropout": rng}
    return dict(self.network.init(rngs, batch["visible"], batch["infrared"]))

  def mix(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> Batch:
    """Turns visible images gray at first; see `methods.base.Method`."""
    del variables, rngs
    visible = jnp.where(step < self._gray_steps, pillow_gray(batch["visible"]), batch["visible"])
    return {**batch, "visible": visible}

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """All terms for a batch; see `methods.base.Method`."""
    (features, logits), updates = self.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      mutable=["batch_stats"],
      rngs={"dropout": rngs},
    )
    labels = on_all_devices(batch["label"])  # masks of one modality are split by rows
    identity = sum(losses.cross_entropy(rows, labels) for rows in split(logits))
    metric = self._metric_terms(on_all_devices(features), labels, step < self._gray_steps)
    return LossOutput(
      terms={"identity": identity, **metric},
      metrics=common.accuracy(logits, merge_labels(labels)),
      collections=common.collections(variables, updates),
    )

  def _metric_terms(self, features: Array, labels: Array, is_gray: Array) -> dict[str, Array]:
    """Returns the terms of merged class tokens [2b, c], as the stage of training asks."""
    visible, infrared = split(features)
    both = merge_labels(labels)
    within = sum(self._triplet(side, labels) for side in (visible, infrared))
    terms = {"triplet": jnp.where(is_gray, within, self._triplet(features, both))}
    if self.msel_weight:
      msel = losses.modality_shared_enhancement(visible, infrared, labels)
      terms["msel"] = jnp.where(is_gray, 0.0, self.msel_weight * msel)
    if self.dcl_weight:
      dcl = losses.discriminative_center(features, both)
      terms["dcl"] = jnp.where(is_gray, 0.0, self.dcl_weight * dcl)
    return terms

  def _triplet(self, features: Array, labels: Array) -> Array:
    return losses.batch_hard_triplet(features, labels, margin=self.margin)
