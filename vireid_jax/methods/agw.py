"""AGW: the two-stream baseline with non-local attention, GeM pooling and WRT.

Reference:
  Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", TPAMI 2021, and its
  published code for visible-infrared data.

Differs from the paper: nothing on purpose; the default `metric_loss` is the published code's form
of WRT, 'wrt' is the formula as printed.

Choices where the paper is silent: none; `label_smoothing` and `metric_weight` are extras, off by
default. The `base` variant (no non-local block, average pooling, batch-hard triplet) is the plain
baseline that later methods start from.
"""

import dataclasses
from typing import Annotated

import flax.linen as nn
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.options import Number, Several, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.methods.base import LossOutput, MetricLoss
from vireid_jax.models.head import Head, Place, Pooling, pool
from vireid_jax.models.numerics import ConvImplementation, Dtype, Numerics
from vireid_jax.models.resnet import PARTS, Depth, Width
from vireid_jax.models.two_stream import TwoStreamResNet, merge


class AGWNetwork(nn.Module):
  """Two-stream ResNet, pooling and head."""

  backbone: TwoStreamResNet
  head: Head
  pooling: str

  def __call__(self, visible: Array, infrared: Array) -> tuple[Array, Array]:
    """Maps [b, h, w, 3] twice to pooled features [2b, c] and logits [2b, classes], merged."""
    pooled = pool(self.backbone(visible, infrared, train=True), self.pooling)
    _, logits = self.head(pooled, train=True)
    return pooled, logits

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
class AGW:
  """L = cross-entropy + metric loss, over both modalities together.

  Attributes:
    num_classes: training identities.
    steps_per_epoch: unused here.
    depth: of the ResNet: 18, 34 or 50.
    width: channels of its stem; 64 is the full size.
    num_specific_stages: parts that exist per modality: 1 is the stem.
    non_local: non-local blocks at the end of stages 1-4; AGW has (0, 2, 3, 0).
    pooling: 'gem' or 'average'.
    feature: what retrieval uses, 'after_neck' or 'before_neck'.
    metric_loss: 'wrt_legacy', 'wrt' or 'triplet'.
    metric_weight: of the metric loss.
    margin: of 'triplet'.
    label_smoothing: of the cross-entropy, in [0, 1).
    dtype, conv_impl, unbiased_variance: see `models.numerics.Numerics`.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  num_specific_stages: Annotated[int, Whole(0, len(PARTS))] = 1
  non_local: Annotated[tuple, Several(Whole(0, 6), 4, 4)] = (0, 2, 3, 0)
  pooling: Pooling = "gem"
  feature: Place = "after_neck"
  metric_loss: MetricLoss = "wrt_legacy"
  metric_weight: Weight = 1.0
  margin: Weight = 0.3
  label_smoothing: Annotated[float, Number(0, 1, open_high=True)] = 0.0
  dtype: Dtype = "auto"
  conv_impl: ConvImplementation = "auto"
  unbiased_variance: bool = False

  def __post_init__(self):
    options.check(self)

  @property
  def network(self) -> AGWNetwork:
    """The Linen module."""
    numerics = Numerics(self.dtype, self.conv_impl, self.unbiased_variance)
    backbone = TwoStreamResNet(
      self.depth, self.width, self.num_specific_stages, tuple(self.non_local), numerics
    )
    return AGWNetwork(backbone, Head(self.num_classes, numerics), self.pooling)

  @property
  def trivial_values(self) -> dict[str, float]:
    """What terms are when all features are equal; see `methods.base.Method`."""
    value = losses.trivial_value(self.metric_loss, margin=self.margin)
    return {self.metric_loss: self.metric_weight * value}

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics; see `methods.base.Method`."""
    return dict(self.network.init(rng, batch["visible"], batch["infrared"]))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """Cross-entropy and metric loss of a batch; see `methods.base.Method`."""
    del rngs, step
    (pooled, logits), updates = self.network.apply(
      variables, batch["visible"], batch["infrared"], mutable=["batch_stats"]
    )
    labels = merge(batch["label"], batch["label"])
    metric = losses.metric_loss(self.metric_loss, pooled, labels, margin=self.margin)
    smoothing = self.label_smoothing
    return LossOutput(
      terms={
        "identity": losses.cross_entropy(logits, labels, label_smoothing=smoothing),
        self.metric_loss: self.metric_weight * metric,
      },
      metrics={"accuracy": (logits.argmax(-1) == labels).mean()},
      collections={k: v for k, v in variables.items() if k != "params"} | updates,
    )

  def embed(self, variables: Variables, images: Array, modality: str) -> Array:
    """The feature after or before the neck; see `methods.base.Method`."""
    name = AGWNetwork.embed if self.feature == "after_neck" else AGWNetwork.pool_single
    return self.network.apply(variables, images, modality, method=name)

  def forward_features(self, variables: Variables, images: Array, modality: str) -> Array:
    """The map before pooling; see `methods.base.Method`."""
    return self.network.apply(variables, images, modality, method=AGWNetwork.forward_features)

  def forward_head(self, variables: Variables, forward_features: Array, modality: str) -> Array:
    """The feature from the map before pooling; see `methods.base.Method`."""
    del modality
    after_neck = self.feature == "after_neck"
    return self.network.apply(
      variables, forward_features, after_neck, method=AGWNetwork.forward_head
    )
