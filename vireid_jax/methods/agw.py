"""AGW: the two-stream baseline with non-local attention, GeM pooling and WRT.

Reference:
  Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", TPAMI 2021, and its
  published code for visible-infrared data.

Differs from the paper: nowhere on purpose. The default metric loss is the published code's form of
WRT ('wrt_legacy'); 'wrt' is the printed formula.

Choices where the paper is silent: none. `label_smoothing` and `metric.weight` are extras without
effect by default. The `base` variant (no non-local block, average pooling, batch-hard triplet) is
the plain baseline that later methods start from. `backbone` may be a Vision Transformer, which both
modalities share; its feature is the class token.
"""

import dataclasses
from typing import Annotated

from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.options import Number, OneOf, Several, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.common import Metric, Transformer
from vireid_jax.models.head import Place, Pooling
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import STAGE_BLOCKS, STAGES, Depth, Width
from vireid_jax.models.two_stream import merge_labels
from vireid_jax.models.two_stream_network import TwoStreamNetwork
from vireid_jax.models.vit import HEADS
from vireid_jax.models.vit_network import ViTNetwork

RESNETS = {f"resnet{depth}": depth for depth in STAGE_BLOCKS}
PLAIN = {"non_local": (0, 0, 0, 0), "pooling": "average", "metric": {"name": "triplet"}}
# The plain two-stream baseline, and the same with a Vision Transformer.
VARIANTS = {
  "base": PLAIN,
  **{name: {**PLAIN, "backbone": name} for name in ("vit_s16", "vit_b16")},
}
SMOKE = {"depth": 18, "width": 8, "vit": {"depth": 2}}


@dataclasses.dataclass(frozen=True)
class AGW:
  """L = cross-entropy + metric loss, over both modalities together.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Unused.
    backbone: 'resnet', the ResNet of `depth`; 'resnet18', 'resnet34' or 'resnet50'; or a Vision
      Transformer, which has none of a ResNet's options below: 'vit_ti16', 'vit_s16', 'vit_b16', or
      DeiT's 'deit_ti16', 'deit_s16', 'deit_b16'.
    depth: Depth of the ResNet 'resnet': 18, 34 or 50.
    width: Channels of a ResNet's stem, or of a Transformer's attention head; 64 is the full size.
    vit: Options of a Vision Transformer.
    num_specific_stages: Number of a ResNet's modality-specific stages, the stem counted: 1 is the
      stem.
    non_local: Number of a ResNet's non-local blocks at the end of each of stages 1-4; AGW has
      (0, 2, 3, 0).
    pooling: Of a ResNet's last map: 'gem' or 'average'.
    feature: Retrieval feature, 'after_neck' or 'before_neck'.
    metric: Metric loss on the features before the neck.
    label_smoothing: Label smoothing of the cross-entropy, in [0, 1).
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  backbone: Annotated[str, OneOf("resnet", *RESNETS, *HEADS)] = "resnet"
  depth: Depth = 50
  width: Width = 64
  vit: Transformer = Transformer()
  num_specific_stages: Annotated[int, Whole(0, len(STAGES))] = 1
  non_local: Annotated[tuple, Several(Whole(0, 6), 4, 4)] = (0, 2, 3, 0)
  pooling: Pooling = "gem"
  feature: Place = "after_neck"
  metric: Metric = Metric("wrt_legacy")
  label_smoothing: Annotated[float, Number(0, 1, open_high=True)] = 0.0
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def network(self) -> TwoStreamNetwork | ViTNetwork:
    """The Linen module."""
    if self._is_vit:
      return common.vit_network(self)
    return common.two_stream_network(
      self,
      num_specific_stages=self.num_specific_stages,
      depth=RESNETS.get(self.backbone, self.depth),
    )

  @property
  def _is_vit(self) -> bool:
    return self.backbone in HEADS

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    return self.metric.trivial_values

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics; see `methods.base.Method`."""
    rngs = {"params": rng, "dropout": rng}
    return dict(self.network.init(rngs, batch["visible"], batch["infrared"]))

  def token_grid(self, image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Number of a Transformer's patches down and across; see `methods.base.Method`."""
    return common.token_grid(self, image_size) if self._is_vit else None

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """A Transformer's attention, nothing for a ResNet; see `methods.base.Method`."""
    return common.token_attention(self, variables, images, modality) if self._is_vit else {}

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """Cross-entropy and metric loss of a batch; see `methods.base.Method`."""
    del step
    (pooled, logits), updates = self.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      mutable=["batch_stats"],
      rngs={"dropout": rngs} if self._is_vit else {},
    )
    labels = merge_labels(batch["label"])
    smoothing = self.label_smoothing
    identity = losses.cross_entropy(logits, labels, label_smoothing=smoothing)
    return LossOutput(
      terms={"identity": identity, **self.metric.terms(pooled, labels)},
      metrics=common.accuracy(logits, labels),
      collections=common.collections(variables, updates),
    )
