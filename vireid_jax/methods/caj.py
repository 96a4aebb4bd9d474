"""CAJ and CAJ+: every visible image twice, weakly and channel-augmented, on AGW's network.

Reference:
  Ye et al., "Channel Augmented Joint Learning for Visible-Infrared Recognition", ICCV 2021, and
  "Channel Augmentation for Visible-Infrared Re-Identification", TPAMI 2024 (CAJ+), and their
  published code.

A batch holds a weak view (`visible`), a strong one (`visible_2`: what `config.augment.visible_2`
makes, channel exchange in the published settings) and the infrared image of each pair. Both views
pass the visible stem; all three are merged into one batch, v0, s0, r0, v1, ... with the label of
their pair. CAJ+ adds a term through which the weak view learns from the strong one.

Differs from the paper: the metric loss is the published code's form of the enhanced squared
difference, which is constant where features lie far apart; 'wrt_legacy' is the code's option 'agw'.

Choices where the paper is silent: none; everything follows the published code.
"""

import dataclasses
from typing import Annotated

from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.options import Number, OneOf, Several, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.common import Metric
from vireid_jax.models.head import Place, Pooling
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, Width
from vireid_jax.models.two_stream import merge, merge_labels, split
from vireid_jax.models.two_stream_network import TwoStreamNetwork

# The published code's option 'agw'.
VARIANTS = {"wrt": {"metric": {"name": "wrt_legacy"}}}

WEAK, STRONG, INFRARED = range(3)
# Who learns: pairs of (student, teacher).
LESSONS = {
  "weak": ((WEAK, STRONG),),
  "weak_and_infrared": ((WEAK, STRONG), (INFRARED, STRONG)),
  "strong": ((STRONG, WEAK),),
}


@dataclasses.dataclass(frozen=True)
class WeakToStrong:
  """CAJ+'s cross-entropy of one view's logits against another's, its teacher.

  Attributes:
    weight: Weight of the term; 0, as in CAJ, leaves it out.
    student: 'weak' learns from the strong view, 'weak_and_infrared' both do, 'strong' learns from
      the weak view.
  """

  weight: Weight = 0.0
  student: Annotated[str, OneOf(LESSONS)] = "weak"

  def __post_init__(self):
    options.check(self)

  def terms(self, logits: Array) -> dict[str, Array]:
    """Returns the weighted term, for merged logits [3b, classes]."""
    if not self.weight:
      return {}
    views = split(logits, 3)
    pairs = LESSONS[self.student]
    loss = sum(losses.soft_cross_entropy(views[one], views[other]) for one, other in pairs)
    return {"weak_to_strong": self.weight * loss}


@dataclasses.dataclass(frozen=True)
class Divergence:
  """The published code's divergence of the weak view's logits from the infrared ones.

  Attributes:
    weight: Weight of the term; 0, as published, leaves it out.
    temperature: Temperature of both soft-maxes.
  """

  weight: Weight = 0.0
  temperature: Annotated[float, Number(0.1, 100)] = 3.0

  def __post_init__(self):
    options.check(self)

  def terms(self, logits: Array) -> dict[str, Array]:
    """Returns the weighted term, for merged logits [3b, classes]."""
    if not self.weight:
      return {}
    views = split(logits, 3)
    loss = losses.softened_divergence(views[WEAK], views[INFRARED], temperature=self.temperature)
    return {"divergence": self.weight * loss}


@dataclasses.dataclass(frozen=True)
class CAJ:
  """L = cross-entropy + metric loss over three groups, + weak-to-strong term in CAJ+.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Unused here.
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    non_local: Numbers of non-local blocks at the end of stages 1-4; published: (0, 2, 3, 0).
    pooling: 'gem' or 'average'.
    feature: Retrieval feature, 'after_neck' or 'before_neck'.
    metric: Metric loss on the features before the neck.
    weak_to_strong: CAJ+'s term.
    divergence: Divergence between modalities.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  non_local: Annotated[tuple, Several(Whole(0, 6), 4, 4)] = (0, 2, 3, 0)
  pooling: Pooling = "gem"
  feature: Place = "after_neck"
  metric: Metric = Metric("enhanced_squared_difference")
  weak_to_strong: WeakToStrong = WeakToStrong()
  divergence: Divergence = Divergence()
  numerics: Numerics = Numerics()

  needs_second_view = True

  def __post_init__(self):
    options.check(self)

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def network(self) -> TwoStreamNetwork:
    """The Linen module."""
    return common.two_stream_network(self, num_specific_stages=1)

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    return self.metric.trivial_values

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics; see `methods.base.Method`."""
    return dict(self.network.init(rng, *_streams(batch)))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """All terms for a batch; see `methods.base.Method`."""
    del rngs, step
    (pooled, logits), updates = self.network.apply(
      variables, *_streams(batch), mutable=["batch_stats"]
    )
    labels = merge_labels(batch["label"], 3)
    terms = {
      "identity": losses.cross_entropy(logits, labels),
      **self.metric.terms(pooled, labels),
      **self.weak_to_strong.terms(logits),
      **self.divergence.terms(logits),
    }
    return LossOutput(
      terms=terms,
      metrics=common.accuracy(logits, labels),
      collections=common.collections(variables, updates),
    )


def _streams(batch: Batch) -> tuple[Array, Array]:
  """Returns what either stem gets: both views merged [2b, h, w, 3], and infrared [b, h, w, 3]."""
  return merge(batch["visible"], batch["visible_2"]), batch["infrared"]
