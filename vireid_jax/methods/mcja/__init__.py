"""MCJA: channels gated by contexts, and ranks of the other modality's images as the loss.

Reference:
  Liang et al., "Bridging the Gap: Multi-Level Cross-Modality Joint Alignment for Visible-Infrared
  Person Re-Identification", TCSVT 2024, and its published code.

Differs from the paper: nothing on purpose; where paper and code differ, the code is followed. Its
modality coordinator is the augmentation `modality_coordinator`, its sampler is `any_modality`, and
its re-ranking is an option of the evaluation.

Choices where the published code is silent: none, except that biases of convolutions start at zero.
"""

import dataclasses
import functools
import math
from typing import Annotated

import flax.linen as nn
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.options import Number, Several, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.losses.cross_modality_retrieval import STRENGTH
from vireid_jax.methods import common
from vireid_jax.methods.base import LossOutput
from vireid_jax.methods.mcja.mda import MDA
from vireid_jax.methods.mcja.network import MCJANetwork
from vireid_jax.models.head import Head, Place
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.resnet import Depth, ResNet, Width
from vireid_jax.models.two_stream import merge, merge_labels
from vireid_jax.runtime.mesh import on_all_devices

LAST_STRIDE = 2  # the original one of ResNet
NO_MDA = {"mda": (0, 0, 0, 0)}
NO_RETRIEVAL = {"retrieval": {"weight": 0.0}}
# The rows of the ablation, beside the full method: what each of them changes.
VARIANTS = {
  "base": {**NO_MDA, **NO_RETRIEVAL},
  "mda": NO_RETRIEVAL,
  "retrieval": NO_MDA,
}


@dataclasses.dataclass(frozen=True)
class Retrieval:
  """The cross-modality retrieval loss; see losses/cross_modality_retrieval.py.

  Attributes:
    weight: Weight of the term; 0 leaves it out.
    strength: Strength of the soft ranks' regularisation; 0.5, as published, makes them linear.
  """

  weight: Weight = 1.0
  strength: Annotated[float, Number(1e-4, 1e4)] = STRENGTH

  def __post_init__(self):
    options.check(self)


@dataclasses.dataclass(frozen=True)
class MCJA:
  """L = cross-entropy + cross-modality retrieval loss, both on the feature after the neck.

  Attributes:
    num_classes: Number of training identities.
    steps_per_epoch: Unused.
    depth: Depth of the ResNet: 18, 34 or 50. Its last stage has stride 2.
    width: Channels of its stem; 64 is the full size.
    mda: Number of MDA blocks at the end of each of stages 1-4.
    num_contexts: Number of contexts of an MDA block; 12 as published for RegDB.
    retrieval: The cross-modality retrieval loss.
    feature: Retrieval feature, 'after_neck' or 'before_neck'.
    numerics: Dtype, convolution lowering and batch-norm statistics.
  """

  num_classes: int
  steps_per_epoch: int
  depth: Depth = 50
  width: Width = 64
  mda: Annotated[tuple, Several(Whole(0, 6), 4, 4)] = (0, 2, 3, 0)
  num_contexts: Annotated[int, Whole(1, 1024)] = 2
  retrieval: Retrieval = Retrieval()
  feature: Place = "after_neck"
  numerics: Numerics = Numerics()

  any_modality = True

  def __post_init__(self):
    options.check(self)

  embed = common.embed
  forward_features = common.forward_features
  forward_head = common.forward_head

  @property
  def network(self) -> MCJANetwork:
    """The Linen module."""
    backbone = ResNet(
      self.depth,
      self.width,
      non_local=tuple(self.mda),
      numerics=self.numerics,
      last_stride=LAST_STRIDE,
      attention=functools.partial(MDA, self.num_contexts),
    )
    head = Head(
      self.num_classes,
      self.numerics,
      scale_init=nn.initializers.ones,
      kernel_init=torch_uniform,
    )
    return MCJANetwork(backbone, head)

  @property
  def trivial_values(self) -> dict[str, float]:
    """Values of terms when all features are equal: the neck makes them 0, and so all logits.

    That of the retrieval term depends on the number of images.
    """
    return {"identity": math.log(self.num_classes)}

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws parameters and statistics; see `methods.base.Method`."""
    return dict(self.network.init(rng, merge(batch["visible"], batch["infrared"])))

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """Cross-entropy and retrieval loss of a batch; see `methods.base.Method`."""
    del rngs, step
    images = merge(batch["visible"], batch["infrared"])
    (after_neck, logits), updates = self.network.apply(variables, images, mutable=["batch_stats"])
    labels = merge_labels(batch["label"])
    terms = {"identity": losses.cross_entropy(logits, labels)}
    if self.retrieval.weight:
      modality = common.modality_of_rows(batch)
      # Its matrix of similarities is needed by rows and by columns; see `on_all_devices`.
      ranked = losses.cross_modality_retrieval(
        on_all_devices(after_neck), labels, modality, strength=self.retrieval.strength
      )
      terms["retrieval"] = self.retrieval.weight * ranked
    return LossOutput(
      terms=terms,
      metrics=common.accuracy(logits, labels),
      collections=common.collections(variables, updates),
    )

  def attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
    """The attention maps of the last MDA block; see `methods.base.Method`."""
    if not any(self.mda):
      return {}
    _, sown = self.network.apply(
      variables, images, modality, method="forward_features", mutable=["intermediates"]
    )
    stage = max(index for index, count in enumerate(self.mda, 1) if count)
    blocks = sown["intermediates"]["backbone"][f"layer{stage}"]
    (maps,) = blocks[f"non_local{self.mda[stage - 1] - 1}"]["attention"]
    return {f"context {index + 1}": maps[..., index] for index in range(maps.shape[-1])}
