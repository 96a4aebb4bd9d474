"""Options and functions shared by several methods."""

import dataclasses
from typing import Annotated

import jax.numpy as jnp
from jax import Array

from vireid_jax import losses
from vireid_jax.common import options
from vireid_jax.common.options import Number, OneOf, Weight, Whole
from vireid_jax.common.types import Batch, Variables
from vireid_jax.models import vit as vit_lib
from vireid_jax.models.head import Head
from vireid_jax.models.two_stream import TwoStreamResNet, merge
from vireid_jax.models.two_stream_network import TwoStreamNetwork
from vireid_jax.models.vit import ViT
from vireid_jax.models.vit_network import ViTNetwork


@dataclasses.dataclass(frozen=True)
class Metric:
  """Options of a method's metric loss.

  Attributes:
    name: 'wrt', 'wrt_legacy' (as AGW's published code computes it), 'enhanced_squared_difference'
      (CAJ's) or 'triplet'.
    weight: Weight of the term; 0 leaves it out.
    margin: Margin of 'triplet'.
  """

  name: Annotated[str, OneOf(losses.METRIC_LOSSES, noun="metric loss")] = "wrt"
  weight: Weight = 1.0
  margin: Weight = 0.3

  def __post_init__(self):
    options.check(self)

  def terms(self, features: Array, labels: Array) -> dict[str, Array]:
    """Returns the weighted term by its name, for features [n, d] before the neck and labels [n]."""
    if not self.weight:
      return {}
    loss = losses.metric_loss(self.name, features, labels, margin=self.margin)
    return {self.name: self.weight * loss}

  @property
  def trivial_values(self) -> dict[str, float]:
    """The term's value when all features are equal; see `methods.base.Method`."""
    if not self.weight:
      return {}
    return {self.name: self.weight * losses.trivial_value(self.name, margin=self.margin)}


@dataclasses.dataclass(frozen=True)
class Transformer:
  """Options of a Vision Transformer.

  Attributes:
    depth: Number of blocks; 12 is the full size.
    stride: Distance of the 16 x 16 patches, in pixels; 16 is without overlap.
    dropout: Share of numbers set to zero in training, in [0, 1).
    drop_path: Share of training images that skip the last block's branches, in [0, 1); it grows
      linearly from 0 in the first block.
    epsilon: Added to the variance in layer normalisation; timm's is 1e-6, PyTorch's default 1e-5.
  """

  depth: Annotated[int, Whole(1, 48)] = vit_lib.DEPTH
  stride: Annotated[int, Whole(1, 64)] = vit_lib.PATCH
  dropout: Annotated[float, Number(0, 1, open_high=True)] = 0.0
  drop_path: Annotated[float, Number(0, 1, open_high=True)] = 0.1
  epsilon: Annotated[float, Number(1e-12, 1)] = 1e-6

  def __post_init__(self):
    options.check(self)


# Members of a method with the option `feature`, one of `models.head.PLACES`, whose `network` is a
# Linen module with two methods:
#   forward_features(images, modality) -> the last map [n, h/16, w/16, c];
#   forward_head(map, modality, place) -> the feature [n, d] after or before the neck.
# A method adopts them by assignment: `embed = common.embed`.


def embed(self, variables: Variables, images: Array, modality: str) -> Array:
  """Maps images [n, h, w, 3] of one modality to the retrieval feature [n, d]; see `Method`."""
  features = self.forward_features(variables, images, modality)
  return self.forward_head(variables, features, modality)


def forward_features(self, variables: Variables, images: Array, modality: str) -> Array:
  """Maps images [n, h, w, 3] of one modality to the last map [n, h/16, w/16, c]; see `Method`."""
  return self.network.apply(variables, images, modality, method="forward_features")


def forward_head(self, variables: Variables, features: Array, modality: str) -> Array:
  """Maps the last map [n, h/16, w/16, c] to the retrieval feature [n, d]; see `Method`."""
  return self.network.apply(variables, features, modality, self.feature, method="forward_head")


# Members of a method with a Vision Transformer, with the options `backbone`, `width` and `vit`.


def token_attention(self, variables: Variables, images: Array, modality: str) -> dict[str, Array]:
  """The class token's attention to each patch in the last block; see `Method`."""
  del modality
  return {"attention": self.network.apply(variables, images, method="attention")}


def token_grid(self, image_size: tuple[int, int]) -> tuple[int, int]:
  """Returns the number of patches down and across; see `Method`."""
  return vit_lib.token_grid(image_size, self.vit.stride)


def two_stream_network(
  method, *, num_specific_stages: int, depth: int | None = None
) -> TwoStreamNetwork:
  """Returns the network of AGW for a method with its options.

  Args:
    method: Has `num_classes`, `depth`, `width`, `non_local`, `pooling` and `numerics`.
    num_specific_stages: Number of modality-specific stages, the stem counted.
    depth: Depth of the ResNet, in place of the method's.
  """
  backbone = TwoStreamResNet(
    depth or method.depth,
    method.width,
    num_specific_stages,
    tuple(method.non_local),
    method.numerics,
  )
  return TwoStreamNetwork(backbone, Head(method.num_classes, method.numerics), method.pooling)


def modality_of_rows(batch: Batch) -> Array:
  """Returns the modality of each row of a batch's merged images: int32 [2b], see `Batch`."""
  if "modality" in batch:
    return merge(*batch["modality"].T)
  return jnp.tile(jnp.arange(2, dtype=jnp.int32), len(batch["label"]))


def average_rate(method, step: Array) -> Array:
  """Returns the weight of the classifiers in their moving averages: scalar in [0, 1].

  r min(100 / (e + 1), 1) with the epoch e, as in MPANet's published code, which counts from 1.

  Args:
    method: Has `update_rate`, `steps_per_epoch` and `numerics`.
    step: int32 scalar, number of completed steps.
  """
  epoch = jnp.asarray(step // method.steps_per_epoch + 1, method.numerics.param_dtype)
  return method.update_rate * jnp.minimum(100 / (epoch + 1), 1)


def vit_network(method) -> ViTNetwork:
  """Returns a Vision Transformer and a head for a method with its options.

  Args:
    method: Has `num_classes`, `backbone`, `width`, `vit` and `numerics`.
  """
  heads, section = vit_lib.HEADS[method.backbone], method.vit
  backbone = ViT(heads, method.width, numerics=method.numerics, **dataclasses.asdict(section))
  return ViTNetwork(backbone, Head(method.num_classes, method.numerics))


def accuracy(logits: Array, labels: Array) -> dict[str, Array]:
  """Returns the share of rows [n, classes] whose largest logit is the label's [n]."""
  return {"accuracy": (logits.argmax(-1) == labels).mean()}


def collections(variables: Variables, updates: Variables) -> Variables:
  """Returns all collections except 'params', updated by a training pass."""
  return {name: values for name, values in variables.items() if name != "params"} | updates
