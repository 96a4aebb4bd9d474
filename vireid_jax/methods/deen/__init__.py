"""DEEN: two more embeddings of each image, and features of several stages aggregated.

Reference:
  Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
  Visible-Infrared Person Re-identification", CVPR 2023, and its published code.

Differs from the paper: as its code does. The position affinity is taken between half maps
(`pnl_reshape`), the orthogonality term is the plain inner product of the two generated embeddings
over three times the rows, and dropout also acts on the original embedding.

Choices where the paper is silent: none; all settings are those of the published code, except that
biases of convolutions start at zero.
"""

import dataclasses
from typing import Annotated

import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.errors import UserError
from vireid_jax.common.options import Number, OneOf, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.common import Metric
from vireid_jax.methods.deen.dee import BRANCHES
from vireid_jax.methods.deen.mfa import RESHAPES
from vireid_jax.methods.deen.network import DEENBackbone, DEENNetwork
from vireid_jax.models.head import PLACES, Head
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, Width
from vireid_jax.models.two_stream import merge_labels, split
from vireid_jax.runtime.mesh import on_all_devices

NO_ORTHOGONALITY = {"orthogonality_weight": 0.0}
NO_CPM = {"cpm": {"weight": 0.0}, **NO_ORTHOGONALITY}
# The ablation: each row has the parts of the rows before it and one more; `clean` has them all.
VARIANTS = {
  "base": {"mfa": False, "dee": False, **NO_CPM},
  "mfa": {"dee": False, **NO_CPM},
  "dee": NO_CPM,
  "cpm": NO_ORTHOGONALITY,
  "clean": {"pnl_reshape": "clean"},
}


@dataclasses.dataclass(frozen=True)
class CPM:
  """The centre-guided pair mining loss; see losses/center_guided_pair_mining.py.

  Attributes:
    weight: Weight of the term; 0 leaves it out.
    margin: Margin, in the distance of pooled features.
  """

  weight: Weight = 0.8
  margin: Weight = 0.2

  def __post_init__(self):
    options.check(self)


@dataclasses.dataclass(frozen=True)
class DEEN:
  """L = identity + metric + centre-guided pair mining + orthogonality.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Unused here.
    depth: Depth of the ResNet: 18, 34 or 50.
    width: Channels of its stem; 64 is the full size.
    num_stages: Number of stages of the ResNet: 4, or 3 as published for RegDB.
    mfa: Aggregate every stage but the last with its input.
    pnl_reshape: Position affinities of MFA, 'published' (between half maps) or 'clean'.
    dee: Expand each image to three embeddings before the last stage.
    dropout: Share of the expanded maps' numbers set to zero in training, in [0, 1).
    metric: Metric loss on the features of all embeddings before the neck.
    cpm: Centre-guided pair mining between the original and either generated embedding.
    orthogonality_weight: Weight of the orthogonality of the two generated embeddings; 0 leaves the
      term out.
    feature: Retrieval feature: unit vectors of each embedding 'after_neck', 'before_neck' or
      'both', concatenated.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  num_stages: Annotated[int, Whole(3, 4)] = 4
  mfa: bool = True
  pnl_reshape: Annotated[str, OneOf(RESHAPES)] = "published"
  dee: bool = True
  dropout: Annotated[float, Number(0, 1, open_high=True)] = 0.01
  metric: Metric = Metric("triplet")
  cpm: CPM = CPM()
  orthogonality_weight: Weight = 0.01
  feature: Annotated[str, OneOf("both", *PLACES)] = "both"
  numerics: Numerics = Numerics()

  def __post_init__(self):
    options.check(self)
    if not self.dee and (self.cpm.weight or self.orthogonality_weight):
      raise UserError(
        "method deen: dee = False makes no embeddings for cpm and orthogonality to compare; set "
        "method.cpm.weight=0 and method.orthogonality_weight=0 too"
      )

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def network(self) -> DEENNetwork:
    """The Linen module."""
    backbone = DEENBackbone(
      self.depth,
      self.width,
      self.num_stages,
      self.mfa,
      self.pnl_reshape,
      self.dee,
      self.dropout,
      self.numerics,
    )
    return DEENNetwork(backbone, Head(self.num_classes, self.numerics))

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal; see `methods.base.Method`."""
    cpm = {"cpm": BRANCHES * self.cpm.weight * 2 * self.cpm.margin} if self.cpm.weight else {}
    return self.metric.trivial_values | cpm

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics; see `methods.base.Method`."""
    rngs = {"params": rng, "dropout": rng}
    return dict(self.network.init(rngs, batch["visible"], batch["infrared"]))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """The paper's sum of losses; see `methods.base.Method`."""
    del step
    (pooled, logits), updates = self.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      mutable=["batch_stats"],
      rngs={"dropout": rngs},
    )
    embeddings = 1 + BRANCHES * self.dee
    labels = merge_labels(batch["label"], 2 * embeddings)
    terms = {"identity": losses.cross_entropy(logits, labels), **self.metric.terms(pooled, labels)}
    if self.dee:
      terms |= self._embedding_terms(split(pooled, embeddings), batch["label"])
    return LossOutput(
      terms=terms,
      metrics=common.accuracy(logits, labels),
      collections=common.collections(variables, updates),
    )

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """The energy of each embedding's map; see `methods.base.Method`."""
    embeddings = 1 + BRANCHES * self.dee
    maps = jnp.split(self.forward_features(variables, images, modality), embeddings, axis=-1)
    names = ("original", *(f"branch {k + 1}" for k in range(BRANCHES)))
    return {name: jnp.linalg.norm(x, axis=-1) for name, x in zip(names, maps, strict=False)}

  def _embedding_terms(self, features: tuple[Array, ...], labels: Array) -> dict[str, Array]:
    """The losses between the original and the generated embeddings, [2b, c] each."""
    # A matrix of distances between centres is needed by rows and by columns; see `on_all_devices`.
    original, *generated = map(on_all_devices, features)
    terms = {}
    if self.cpm.weight:
      pairs = [
        losses.center_guided_pair_mining(
          split(original), split(each), labels, margin=self.cpm.margin
        )
        for each in generated
      ]
      terms["cpm"] = self.cpm.weight * sum(pairs)
    if self.orthogonality_weight:
      terms["orthogonality"] = self.orthogonality_weight * losses.orthogonality(*generated)
    return terms
