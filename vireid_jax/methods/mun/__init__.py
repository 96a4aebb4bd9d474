"""MUN: a generated auxiliary modality that bridges visible and infrared images in training.

Reference:
  Yu et al., "Modality Unifying Network for Visible-Infrared Person Re-Identification", ICCV 2023.

From the paper: three modalities in training; the auxiliary one generated from both at feature level
by intra-modality learners (depthwise convolutions of several kernel sizes) and a cross-modality
learner (spatial pyramid), weighted by a learned layer scale; the identity alignment loss, a
triplet metric on the three modalities' identity centres; the modality alignment loss through
prototypes with temporal accumulation, with the auxiliary modality as its bridge; identity loss over
three modalities; not used at test time.

Choices where the paper is silent: where the generator sits (`generator_stage`), how its learners
are joined (methods/mun/generator.py), the formulas, weights and margins of the two alignment losses
(losses/identity_alignment.py, losses/modality_alignment.py), WRT as the metric loss between visible
and infrared, separate batch statistics for auxiliary maps, and all of AGW's training settings.
docs/results.md has the alternatives that were tried.
"""

import dataclasses
from typing import Annotated

import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import OneOf, Several, Share, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.losses.modality_alignment import (
  AUXILIARY,
  FOURIER_FEATURES,
  INFRARED,
  VISIBLE,
  accumulate,
  modality_alignment,
  modality_center,
  straight_through,
)
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.common import Metric
from vireid_jax.methods.mun.auxiliary_image import IMAGE_MODALITIES
from vireid_jax.methods.mun.generator import AuxiliaryGenerator
from vireid_jax.methods.mun.network import MUNNetwork
from vireid_jax.methods.mun.three_stream import ThreeStreamResNet
from vireid_jax.models.head import PLACES, Head, Place, Pooling
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, Width
from vireid_jax.models.two_stream import merge, merge_labels, split
from vireid_jax.runtime.mesh import on_all_devices

COLLECTION = "prototypes"
AUXILIARIES = ("learned", "none", *IMAGE_MODALITIES)
NO_IDENTITY = {"identity_alignment": {"weight": 0.0}}
NO_MODALITY = {"modality_alignment": {"weight": 0.0}}
# The rows of the ablation: changes to the full method.
VARIANTS = {
  "base": {"auxiliary": "none", **NO_IDENTITY, **NO_MODALITY},
  "cross": {"intra": False, "layer_scale": False, **NO_IDENTITY, **NO_MODALITY},
  "intra": {"cross": False, "layer_scale": False, **NO_IDENTITY, **NO_MODALITY},
  "fixed_ratio": {"layer_scale": False, **NO_IDENTITY, **NO_MODALITY},
  "layer_scale": {**NO_IDENTITY, **NO_MODALITY},
  "identity_alignment": NO_MODALITY,
  "modality_alignment": NO_IDENTITY,
  "one_kernel": {"kernel_sizes": (3,)},
  "no_accumulation": {"modality_alignment": {"rate": 0.0}},
  "no_bridge": {"modality_alignment": {"bridge": False}},
  "gray": {"auxiliary": "gray"},
  "pixel_mix": {"auxiliary": "pixel_mix"},
}


@dataclasses.dataclass(frozen=True)
class IdentityAlignment:
  """Options of the identity alignment loss; see losses/identity_alignment.py.

  Attributes:
    weight: Weight of the term; 0 leaves it out.
    margin: Margin on distances between unit vectors.
  """

  weight: Weight = 3.0
  margin: Weight = 1.0

  def __post_init__(self):
    options.check(self)


@dataclasses.dataclass(frozen=True)
class ModalityAlignment:
  """Options of the modality alignment loss; see losses/modality_alignment.py.

  Attributes:
    weight: Weight of the term; 0 leaves it out.
    rate: Share of the old prototype kept per step, in [0, 1]; 0 disables accumulation.
    bridge: Align both modalities with the auxiliary one, not with each other.
  """

  weight: Weight = 5.0
  rate: Share = 0.9
  bridge: bool = True

  def __post_init__(self):
    options.check(self)


@dataclasses.dataclass(frozen=True)
class MUN:
  """L = identity + metric + identity alignment + modality alignment.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Unused.
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    num_specific_stages: Number of modality-specific stages, the stem counted: 1 is the stem; at
      most generator_stage + 1.
    pooling: 'gem' or 'average'.
    feature: Retrieval feature, 'after_neck' or 'before_neck'.
    auxiliary: Auxiliary modality: 'learned' by the generator, 'none', or an image with a separate
      stem: 'gray', the visible image in grey, or 'pixel_mix', the mean of both images.
    generator_stage: Stage after which the generator is placed: 0 (the stem), 1 or 2.
    intra: Use the intra-modality learners.
    cross: Use the cross-modality learner.
    layer_scale: Learn the ratio of the two learners; otherwise it is fixed.
    kernel_sizes: Kernel sizes of the intra-modality learners.
    metric: Metric loss on visible and infrared features before the neck.
    identity_alignment: Identity alignment loss on features after the neck.
    modality_alignment: Modality alignment loss on features before the neck.
    numerics: Dtype, convolution lowering and batch-norm statistics.
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
  metric: Metric = Metric("wrt_legacy")
  identity_alignment: IdentityAlignment = IdentityAlignment()
  modality_alignment: ModalityAlignment = ModalityAlignment()
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)
    if self.num_specific_stages > self.generator_stage + 1:
      raise UserError(
        f"method mun: generator_stage is {self.generator_stage} and num_specific_stages "
        f"{self.num_specific_stages}; allowed: generator_stage 0, 1 or 2, and num_specific_stages "
        "up to generator_stage + 1"
      )
    if self.auxiliary == "learned" and not (self.intra or self.cross):
      raise UserError("method mun: auxiliary 'learned' needs intra or cross; turn one on")
    alignment = self.modality_alignment
    if self.auxiliary == "none" and alignment.weight and alignment.bridge:
      raise UserError(
        "method mun: with auxiliary 'none' there is no bridge; set "
        "method.modality_alignment.weight=0 or method.modality_alignment.bridge=False"
      )

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def no_decay(self) -> tuple[str, ...]:
    """The layer scales, which weight decay would shrink to zero."""
    return ("intra_scale", "cross_scale")

  @property
  def modalities(self) -> tuple[str, ...]:
    """Modalities, in the order in which the network merges them."""
    both = (VISIBLE, INFRARED)
    return both if self.auxiliary == "none" else (*both, AUXILIARY)

  @property
  def network(self) -> MUNNetwork:
    """The Linen module."""
    with_image, cut = self.auxiliary in IMAGE_MODALITIES, self.generator_stage + 1
    backbone = ThreeStreamResNet(
      self.depth, self.width, self.num_specific_stages, cut, with_image, self.numerics
    )
    generator = None
    if self.auxiliary == "learned":
      generator = AuxiliaryGenerator(
        self.intra, self.cross, self.layer_scale, tuple(self.kernel_sizes), self.numerics
      )
    return MUNNetwork(backbone, generator, Head(self.num_classes, self.numerics), self.pooling)

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    alignment = self.identity_alignment
    return {
      **self.metric.trivial_values,
      "identity_alignment": alignment.weight * alignment.margin,
    }

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics, and creates prototypes; see `methods.base.Method`."""
    image = self._image(batch)
    variables = dict(self.network.init(rng, batch["visible"], batch["infrared"], image))
    if self.modality_alignment.weight:
      prototypes = {
        name: jnp.zeros(FOURIER_FEATURES, self.numerics.param_dtype) for name in self.modalities
      }
      variables[COLLECTION] = {**prototypes, "started": jnp.zeros((), bool)}
    return variables

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """Computes the four terms of a batch; see `methods.base.Method`."""
    del rngs, step
    outputs, updates = self.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      self._image(batch),
      mutable=["batch_stats"],
    )
    by_modality = {
      place: dict(zip(self.modalities, split(outputs[place], len(self.modalities)), strict=True))
      for place in PLACES
    }
    labels = merge_labels(batch["label"], len(self.modalities))
    terms = {"identity": losses.cross_entropy(outputs["logits"], labels)}
    terms |= self._metric_terms(by_modality["before_neck"], batch["label"])
    if self.identity_alignment.weight:
      terms |= self._align_identities(by_modality["after_neck"], batch["label"])
    if self.modality_alignment.weight:
      alignment, prototypes = self._align_modalities(
        by_modality["before_neck"], variables[COLLECTION]
      )
      terms["modality_alignment"] = self.modality_alignment.weight * alignment
      updates |= {COLLECTION: prototypes}
    metrics = common.accuracy(outputs["logits"], labels)
    return LossOutput(
      terms=terms,
      metrics=metrics | _distances(by_modality["before_neck"]) | _ratio(outputs["scales"]),
      collections=common.collections(variables, updates),
    )

  def _image(self, batch: Batch) -> Array | None:
    mix = IMAGE_MODALITIES.get(self.auxiliary)
    return mix(batch["visible"], batch["infrared"]) if mix else None

  def _metric_terms(self, features: dict[str, Array], label: Array) -> dict[str, Array]:
    """Returns the metric loss between visible and infrared features."""
    rows = merge(features[VISIBLE], features[INFRARED])
    return self.metric.terms(rows, merge_labels(label))

  def _align_identities(self, features: dict[str, Array], label: Array) -> dict[str, Array]:
    rows = [on_all_devices(losses.unit(x)) for x in features.values()]
    aligned = losses.identity_alignment(rows, label, margin=self.identity_alignment.margin)
    return {"identity_alignment": self.identity_alignment.weight * aligned}

  def _align_modalities(
    self, features: dict[str, Array], stored: dict[str, Array]
  ) -> tuple[Array, dict[str, Array]]:
    """Returns the loss, and the prototypes after this step."""
    alignment, started = self.modality_alignment, stored["started"]
    centers = {name: modality_center(x) for name, x in features.items()}
    after = {
      name: accumulate(stored[name], center, started, rate=alignment.rate)
      for name, center in centers.items()
    }
    centers = {name: straight_through(after[name], center) for name, center in centers.items()}
    loss = modality_alignment(centers, after, bridge=alignment.bridge)
    return loss, {**after, "started": jnp.ones_like(started)}


def _distances(features: dict[str, Array]) -> dict[str, Array]:
  """Returns the distances in [0, 2] between the modalities' mean directions."""
  means = {name: losses.unit(jnp.mean(losses.unit(x), axis=0)) for name, x in features.items()}
  names = list(means)
  return {
    f"distance/{first}_{second}": losses.paired_distance(means[first], means[second])
    for index, first in enumerate(names)
    for second in names[index + 1 :]
  }


def _ratio(scales: dict[str, Array]) -> dict[str, Array]:
  """Returns the mean magnitudes of the layer scales, and their ratio."""
  means = {f"ratio/{name}": jnp.mean(jnp.abs(scale)) for name, scale in scales.items()}
  if len(means) == 2:
    means["ratio/intra_to_cross"] = means["ratio/intra"] / jnp.maximum(means["ratio/cross"], 1e-12)
  return means
