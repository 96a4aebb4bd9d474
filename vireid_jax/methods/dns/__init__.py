"""DNS: domains shifted, aligned and distilled, on a strong two-stream baseline.

Reference:
  Jiang et al., "Domain Shifting: A Generalized Solution for Heterogeneous Cross-Modality Person
  Re-Identification", ECCV 2024, and its published code.

Differs from the paper: nothing on purpose; where paper and code differ, the code is followed.

Choices where the published code is silent to us: the initial values of HSS and CSS, PyTorch's
uniform kernels and zero biases. The `strong` variant (no HSS, CSS, alignment, distillation) is the
authors' plain baseline: cross-entropy and circle loss.
"""

import dataclasses
import math
from typing import Annotated

from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import Number, Share, Weight
from vireid_jax.common.types import Batch, Variables
from vireid_jax.losses.domain_distillation import IDENTITY_WEIGHT
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.dns.network import DNSNetwork, ShiftingResNet
from vireid_jax.models.head import Head, Place
from vireid_jax.models.modality_classifiers import COLLECTION, ModalityClassifiers
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, Width
from vireid_jax.models.two_stream import merge_labels, split

# The rows of the ablation, beside the full method: what each of them changes.
VARIANTS = {
  "strong": {"hss": False, "css": False, "alignment_weight": 0.0, "distillation_weight": 0.0},
  "hss": {"css": False, "alignment_weight": 0.0, "distillation_weight": 0.0},
  "alignment": {"distillation_weight": 0.0},
  "distillation": {"alignment_weight": 0.0},
  "no_hss": {"hss": False},
  "no_css": {"css": False},
}


@dataclasses.dataclass(frozen=True)
class DNS:
  """L = identity + circle / rows + domain alignment + domain distillation.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Unused here.
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    feature: Retrieval feature, 'after_neck' or 'before_neck'.
    dropout: Dropout rate of common space shifting, in [0, 1).
    hss: Use the blocks of heterogeneous space shifting.
    css: Use common space shifting, which alignment and distillation read beside the feature.
    margin: Margin of the circle loss; 0.45 in the published code, 0.5 in its published logs.
    scale: Scale of the circle loss.
    alignment_weight: Weight of the domain alignment. A weight of 0 leaves its term out.
    distillation_weight: Weight of the domain distillation.
    update_rate: Share of a modality classifier taken into its average per step.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  feature: Place = "after_neck"
  dropout: Annotated[float, Number(0, 1, open_high=True)] = 0.01
  hss: bool = True
  css: bool = True
  margin: Share = 0.45
  scale: Weight = 64.0
  alignment_weight: Weight = 0.2
  distillation_weight: Weight = 1.0
  update_rate: Share = 0.2
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)
    if self.css and not (self.alignment_weight or self.distillation_weight):
      raise UserError(
        "method dns: css = True, but alignment_weight and distillation_weight are 0, and only "
        "these terms read the shifted features; set method.css=False too"
      )

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def network(self) -> DNSNetwork:
    """The Linen module."""
    classes, numerics = self.num_classes, self.numerics
    return DNSNetwork(
      ShiftingResNet(self.depth, self.width, self.hss, self.css, self.dropout, numerics),
      Head(classes, numerics, train_bias=True),
      ModalityClassifiers(classes, numerics) if self.distillation_weight else None,
      self.update_rate,
    )

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`.

    The distillation is then two cross-entropies of equal chances per feature that it reads.
    """
    if not self.distillation_weight:
      return {}
    chance = 2 * IDENTITY_WEIGHT * math.log(self.num_classes)
    return {"distillation": self.distillation_weight * (1 + self.css) * chance}

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters, statistics and averages; see `methods.base.Method`."""
    return dict(self.network.init(rng, batch["visible"], batch["infrared"]))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """The paper's sum of losses; see `methods.base.Method`."""
    del step
    outputs, updates = self.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      mutable=["batch_stats", COLLECTION],
      rngs={"dropout": rngs},
    )
    labels = merge_labels(batch["label"])
    circle = losses.circle(outputs["after_neck"], labels, margin=self.margin, scale=self.scale)
    terms = {
      "identity": losses.cross_entropy(outputs["logits"], labels),
      # The published code divides the mean over rows by their number once more.
      "circle": circle / labels.shape[0],
    }
    return LossOutput(
      terms=terms | self._domain_terms(outputs, batch["label"]),
      metrics=common.accuracy(outputs["logits"], labels),
      collections=common.collections(variables, updates),
    )

  def _domain_terms(self, outputs: dict, labels: Array) -> dict[str, Array]:
    terms, shifted = {}, outputs["shifted"]
    if self.alignment_weight:
      spaces = split(outputs["pooled"]), None if shifted is None else split(shifted)
      terms["alignment"] = self.alignment_weight * losses.domain_alignment(*spaces)
    if self.distillation_weight:
      distilled = sum(
        losses.domain_distillation(logits[:2], logits[2:], labels)
        for logits in outputs["modality_logits"]
      )
      terms["distillation"] = self.distillation_weight * distilled
    return terms
