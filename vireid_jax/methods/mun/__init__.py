"""MUN: an auxiliary modality, made during training, that visible and infrared images meet in.

Reference:
  Yu et al., "Modality Unifying Network for Visible-Infrared Person Re-Identification", ICCV 2023.

From the paper: three modalities in training; the auxiliary one generated from both at feature level
by intra-modality learners (depthwise convolutions of several kernel sizes) and a cross-modality
learner (spatial pyramid), in a ratio set by a learned layer scale; the identity alignment loss, a
triplet metric on the three modalities' identity centres; the modality alignment loss through
prototypes with temporal accumulation, with the auxiliary modality as its bridge; identity loss over
three modalities; nothing of it at test time.

Choices where the paper is silent: where the generator sits (`generator_stage`), how its learners
are joined (methods/mun/generator.py), the formulas, weights and margins of the two alignment losses
(losses/identity_alignment.py, losses/modality_alignment.py), WRT as the metric loss between visible
and infrared, and all of AGW's training settings. Each is an option below.
"""

import dataclasses
from typing import Annotated

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import OneOf, Several, Share, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.losses.modality_alignment import (
  AUXILIARY,
  INFRARED,
  VISIBLE,
  accumulate,
  center_size,
  modality_alignment,
  modality_center,
  straight_through,
)
from vireid_jax.methods.base import LossOutput, MetricLoss
from vireid_jax.methods.mun.auxiliary_image import IMAGE_MODALITIES
from vireid_jax.methods.mun.generator import AuxiliaryGenerator
from vireid_jax.methods.mun.three_stream import ThreeStreamResNet
from vireid_jax.models.head import PLACES, Head, Place, Pooling, pool
from vireid_jax.models.numerics import ConvImplementation, Dtype, Numerics
from vireid_jax.models.resnet import Depth, Width, feature_size
from vireid_jax.models.two_stream import merge, split
from vireid_jax.runtime.mesh import on_all_devices

COLLECTION = "prototypes"
AUXILIARIES = ("learned", "none", *IMAGE_MODALITIES)
NO_LOSSES = {"identity_alignment": False, "modality_alignment": False}
# The rows of the ablation: what each one changes in the full method.
VARIANTS = {
  "base": {"auxiliary": "none", **NO_LOSSES},
  "cross": {"intra": False, "layer_scale": False, **NO_LOSSES},
  "intra": {"cross": False, "layer_scale": False, **NO_LOSSES},
  "fixed_ratio": {"layer_scale": False, **NO_LOSSES},
  "layer_scale": NO_LOSSES,
  "identity_alignment": {"modality_alignment": False},
  "modality_alignment": {"identity_alignment": False},
  "one_kernel": {"kernel_sizes": (3,)},
  "no_accumulation": {"ma_prototype": "batch"},
  "no_bridge": {"bridge": False},
  "gray": {"auxiliary": "gray"},
  "pixel_mix": {"auxiliary": "pixel_mix"},
}


class MUNNetwork(nn.Module):
  """A cut ResNet with the generator at the cut, pooling and head."""

  backbone: ThreeStreamResNet
  generator: AuxiliaryGenerator | None
  head: Head
  pooling: str
  own_statistics: bool

  def __call__(self, visible: Array, infrared: Array, image: Array | None) -> dict:
    """Maps paired images [b, h, w, 3] to all that the loss reads.

    Args:
      visible, infrared: of the same identities, row by row.
      image: of the auxiliary modality, where it is one.

    Returns:
      'before_neck' and 'after_neck' [k b, c] and 'logits' [k b, classes], merged over the k
      modalities visible, infrared and, last, the auxiliary one where there is any; 'scales', see
      `AuxiliaryGenerator`.
    """
    merged, scales = self.backbone.below(visible, infrared, image, train=True), {}
    maps = split(merged, 2 if image is None else 3)
    if self.generator is not None:
      made, scales = self.generator(*maps, train=True)
      maps = (*maps, made)
    if self.own_statistics and len(maps) == 3 and not self.is_initializing():
      return {**self._recognise_apart(*maps), "scales": scales}
    return {**self.recognise(merge(*maps)), "scales": scales}

  def recognise(self, merged: Array) -> dict[str, Array]:
    """Maps the map at the cut [n, h', w', c'] to features and logits, by the batch's statistics."""
    pooled = pool(self.backbone.above(merged, train=True), self.pooling)
    after_neck, logits = self.head(pooled, train=True)
    return {"before_neck": pooled, "after_neck": after_neck, "logits": logits}

  def _recognise_apart(self, visible: Array, infrared: Array, auxiliary: Array) -> dict[str, Array]:
    """As `recognise`; the auxiliary maps have batch statistics of their own, which are not kept."""
    network, variables = self.unbind()
    apart, _ = network.apply(
      variables, auxiliary, mutable=["batch_stats"], method=MUNNetwork.recognise
    )
    pair = self.recognise(merge(visible, infrared))
    return {name: merge(*split(rows), apart[name]) for name, rows in pair.items()}

  def embed(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the feature after the neck [n, c]."""
    return self.head.embed(self.pool_single(images, modality))

  def pool_single(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the feature before the neck [n, c]."""
    return pool(self.forward_features(images, modality), self.pooling)

  def forward_features(self, images: Array, modality: str) -> Array:
    """Maps images [n, h, w, 3] of one modality to the map before pooling [n, h/16, w/16, c]."""
    return self.backbone.single(images, modality)

  def forward_head(self, forward_features: Array, after_neck: bool) -> Array:
    """Maps what `forward_features` gives to the feature after or before the neck [n, c]."""
    pooled = pool(forward_features, self.pooling)
    return self.head.embed(pooled) if after_neck else pooled


@dataclasses.dataclass(frozen=True)
class MUN:
  """L = identity + metric + identity alignment + modality alignment.

  Attributes:
    num_classes: training identities.
    steps_per_epoch: unused here.
    depth: of the ResNet: 18, 34 or 50.
    width: channels of its stem; 64 is the full size.
    num_specific_stages: parts that exist per modality: 1 is the stem; at most generator_stage + 1.
    pooling: 'gem' or 'average'.
    feature: what retrieval uses, 'after_neck' or 'before_neck'.
    auxiliary: 'learned' by the generator; 'none'; or an image with a stem of its own: 'gray', of
      the visible image, or 'pixel_mix', the mean of both.
    generator_stage: the generator follows the stem (0), stage 1 or stage 2.
    intra, cross: with the intra-modality learners, with the cross-modality learner.
    layer_scale: learn the ratio of the two; fixed without it.
    kernel_sizes: of the intra-modality learners.
    auxiliary_statistics: batch norm in the trunk and the neck sees auxiliary rows apart ('own'), so
      that running statistics are those of the images met at test time, or with the others
      ('shared').
    metric_loss: 'wrt_legacy', 'wrt' or 'triplet'.
    metric_modalities: of the metric loss: visible and infrared ('pair') or 'all' three.
    metric_weight: of the metric loss.
    margin: of 'triplet'.
    identity_alignment, modality_alignment: with these terms.
    ia_weight, ia_margin: weight and margin of the identity alignment.
    ia_feature, ma_feature: what either alignment reads, 'before_neck' or 'after_neck'.
    ia_normalize: L2-normalise the features of the identity alignment.
    ia_anchor: 'all' modalities' centres are anchors, or the 'aux' ones alone.
    ma_weight: of the modality alignment.
    ma_metric: 'mean_l2', 'mean' or 'mmd'; see losses/modality_alignment.py.
    ma_prototype: what is aligned: accumulated prototypes with this step's centres in them, which
      get the gradient ('running'); the batch's centres with the prototypes from before this step
      ('ema'); or with each other, of the 'batch' alone.
    ma_rate: share of the old prototype kept per step.
    bridge: align either modality with the auxiliary one; else with each other.
    dtype, conv_impl, unbiased_variance: see `models.numerics.Numerics`.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  num_specific_stages: Annotated[int, Whole(0, 3)] = 1
  pooling: Pooling = "gem"
  feature: Place = "after_neck"
  auxiliary: Annotated[str, OneOf(AUXILIARIES)] = "learned"
  generator_stage: Annotated[int, Whole(0, 2)] = 0
  intra: bool = True
  cross: bool = True
  layer_scale: bool = True
  kernel_sizes: Annotated[tuple, Several(OneOf(range(1, 32, 2)), 1, 16, distinct=True)] = (3, 5, 7)
  auxiliary_statistics: Annotated[str, OneOf("own", "shared")] = "own"
  metric_loss: MetricLoss = "wrt_legacy"
  metric_modalities: Annotated[str, OneOf("pair", "all")] = "pair"
  metric_weight: Weight = 1.0
  margin: Weight = 0.3
  identity_alignment: bool = True
  ia_weight: Weight = 3.0
  ia_margin: Weight = 1.0
  ia_feature: Place = "after_neck"
  ia_normalize: bool = True
  ia_anchor: Annotated[str, OneOf("all", "aux")] = "all"
  modality_alignment: bool = True
  ma_weight: Weight = 5.0
  ma_feature: Place = "before_neck"
  ma_metric: Annotated[str, OneOf("mean_l2", "mean", "mmd")] = "mmd"
  ma_prototype: Annotated[str, OneOf("running", "ema", "batch")] = "running"
  ma_rate: Share = 0.9
  bridge: bool = True
  dtype: Dtype = "auto"
  conv_impl: ConvImplementation = "auto"
  unbiased_variance: bool = False

  def __post_init__(self):
    options.check(self)
    if self.num_specific_stages > self.generator_stage + 1:
      raise UserError(
        f"method mun: generator_stage is {self.generator_stage} and num_specific_stages "
        f"{self.num_specific_stages}; "
        "allowed: generator_stage 0, 1 or 2, and num_specific_stages up to generator_stage + 1"
      )
    if self.auxiliary == "learned" and not (self.intra or self.cross):
      raise UserError("method mun: auxiliary 'learned' needs intra or cross; turn one on")
    if self.auxiliary == "none" and (
      (self.modality_alignment and self.bridge)
      or (self.identity_alignment and self.ia_anchor == "aux")
    ):
      raise UserError(
        "method mun: auxiliary 'none' leaves no bridge and no auxiliary anchors; set "
        "modality_alignment=False or bridge=False, and identity_alignment=False or ia_anchor='all'"
      )

  @property
  def no_decay(self) -> tuple[str, ...]:
    """The layer scales, whose ratio weight decay would pull to nothing."""
    return ("intra_scale", "cross_scale")

  @property
  def modalities(self) -> tuple[str, ...]:
    """In the order in which the network merges them."""
    both = (VISIBLE, INFRARED)
    return both if self.auxiliary == "none" else (*both, AUXILIARY)

  @property
  def network(self) -> MUNNetwork:
    """The Linen module."""
    numerics = Numerics(self.dtype, self.conv_impl, self.unbiased_variance)
    with_image, cut = self.auxiliary in IMAGE_MODALITIES, self.generator_stage + 1
    backbone = ThreeStreamResNet(
      self.depth, self.width, self.num_specific_stages, cut, with_image, numerics
    )
    generator = None
    if self.auxiliary == "learned":
      kernel_sizes = tuple(self.kernel_sizes)
      generator = AuxiliaryGenerator(
        self.intra, self.cross, self.layer_scale, kernel_sizes, numerics
      )
    head, own = Head(self.num_classes, numerics), self.auxiliary_statistics == "own"
    return MUNNetwork(backbone, generator, head, self.pooling, own)

  @property
  def trivial_values(self) -> dict[str, float]:
    """What terms are when all features are equal; see `methods.base.Method`."""
    value = losses.trivial_value(self.metric_loss, margin=self.margin)
    return {
      self.metric_loss: self.metric_weight * value,
      "identity_alignment": self.ia_weight * self.ia_margin,
    }

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics, and empty prototypes; see `methods.base.Method`."""
    image = self._image(batch)
    variables = dict(self.network.init(rng, batch["visible"], batch["infrared"], image))
    if self.modality_alignment and self.ma_prototype != "batch":
      size = center_size(feature_size(self.depth, self.width), self.ma_metric)
      dtype = Numerics(self.dtype).param_dtype
      prototypes = {name: jnp.zeros(size, dtype) for name in self.modalities}
      variables[COLLECTION] = {**prototypes, "started": jnp.zeros((), bool)}
    return variables

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """The four terms of a batch; see `methods.base.Method`."""
    del rngs, step
    outputs, updates = self.network.apply(
      _of_network(variables),
      batch["visible"],
      batch["infrared"],
      self._image(batch),
      mutable=["batch_stats"],
    )
    by_modality = {
      place: dict(zip(self.modalities, split(outputs[place], len(self.modalities)), strict=True))
      for place in PLACES
    }
    labels = merge(*[batch["label"]] * len(self.modalities))
    terms = {"identity": losses.cross_entropy(outputs["logits"], labels)}
    terms |= self._terms(by_modality, batch["label"])
    if self.modality_alignment:
      alignment, prototypes = self._align_modalities(
        by_modality[self.ma_feature], variables.get(COLLECTION)
      )
      terms["modality_alignment"] = self.ma_weight * alignment
      updates |= prototypes
    metrics = {"accuracy": (outputs["logits"].argmax(-1) == labels).mean()}
    return LossOutput(
      terms=terms,
      metrics=metrics | _distances(by_modality["before_neck"]) | _ratio(outputs["scales"]),
      collections={k: v for k, v in variables.items() if k != "params"} | updates,
    )

  def embed(self, variables: Variables, images: Array, modality: str) -> Array:
    """The feature after or before the neck; see `methods.base.Method`."""
    name = MUNNetwork.embed if self.feature == "after_neck" else MUNNetwork.pool_single
    return self.network.apply(_of_network(variables), images, modality, method=name)

  def forward_features(self, variables: Variables, images: Array, modality: str) -> Array:
    """The map before pooling; see `methods.base.Method`."""
    variables = _of_network(variables)
    return self.network.apply(variables, images, modality, method=MUNNetwork.forward_features)

  def forward_head(self, variables: Variables, forward_features: Array, modality: str) -> Array:
    """The feature from the map before pooling; see `methods.base.Method`."""
    del modality
    variables, after_neck = _of_network(variables), self.feature == "after_neck"
    return self.network.apply(
      variables, forward_features, after_neck, method=MUNNetwork.forward_head
    )

  def _image(self, batch: Batch) -> Array | None:
    mix = IMAGE_MODALITIES.get(self.auxiliary)
    return mix(batch["visible"], batch["infrared"]) if mix else None

  def _terms(self, by_modality: dict[str, dict[str, Array]], label: Array) -> dict[str, Array]:
    """The metric loss between visible and infrared features, and the identity alignment."""
    features = list(by_modality["before_neck"].values())
    features = features if self.metric_modalities == "all" else features[:2]
    rows, labels = merge(*features), merge(*[label] * len(features))
    metric = losses.metric_loss(self.metric_loss, rows, labels, margin=self.margin)
    terms = {self.metric_loss: self.metric_weight * metric}
    if self.identity_alignment:
      rows = [
        losses.unit(x) if self.ia_normalize else x for x in by_modality[self.ia_feature].values()
      ]
      anchors = None if self.ia_anchor == "all" else [self.modalities.index(AUXILIARY)]
      rows = [on_all_devices(x) for x in rows]
      aligned = losses.identity_alignment(rows, label, margin=self.ia_margin, anchors=anchors)
      terms["identity_alignment"] = self.ia_weight * aligned
    return terms

  def _align_modalities(self, features: dict[str, Array], stored: dict | None):
    """Returns the loss and the collection of moved prototypes."""
    centers = {name: modality_center(x, self.ma_metric) for name, x in features.items()}
    if stored is None:
      return modality_alignment(centers, centers, bridge=self.bridge), {}
    started = stored["started"]
    after = {
      name: accumulate(stored[name], center, started, rate=self.ma_rate, metric=self.ma_metric)
      for name, center in centers.items()
    }
    if self.ma_prototype == "running":
      prototypes = after
      centers = {name: straight_through(after[name], center) for name, center in centers.items()}
    else:
      prototypes = {name: jnp.where(started, stored[name], x) for name, x in centers.items()}
    loss = modality_alignment(centers, prototypes, bridge=self.bridge)
    return loss, {COLLECTION: {**after, "started": jnp.ones_like(started)}}


def _of_network(variables: Variables) -> Variables:
  return {name: values for name, values in variables.items() if name != COLLECTION}


def _distances(features: dict[str, Array]) -> dict[str, Array]:
  """Distances in [0, 2] between the modalities' mean directions."""
  centers = {name: modality_center(x) for name, x in features.items()}
  names = list(centers)
  return {
    f"distance/{first}_{second}": losses.paired_distance(centers[first], centers[second])
    for index, first in enumerate(names)
    for second in names[index + 1 :]
  }


def _ratio(scales: dict[str, Array]) -> dict[str, Array]:
  """The dynamic ratio: mean magnitudes of the scales, and intra over cross."""
  means = {f"ratio/{name}": jnp.mean(jnp.abs(scale)) for name, scale in scales.items()}
  if len(means) == 2:
    means["ratio/intra_to_cross"] = means["ratio/intra"] / jnp.maximum(means["ratio/cross"], 1e-12)
  return means
