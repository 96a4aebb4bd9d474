"""Head of SAAI: a neck per modality and one classifier."""

import flax.linen as nn
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.two_stream import merge, split


class DualHead(nn.Module):
  """Batch-norm necks, one per modality in training and at test time, and a linear classifier.

  Each modality is normalised by its own statistics; the necks' biases are fixed at zero.

  Attributes:
    num_classes: Number of training identities.
    numerics: Batch-norm statistics; the head computes in float32 at least.
  """

  num_classes: int
  numerics: Numerics = Numerics()

  def setup(self):
    full = self.numerics.full_precision
    self.visible = BatchNorm(full, train_bias=False)
    self.infrared = BatchNorm(full, train_bias=False)
    self.classifier = nn.Dense(
      self.num_classes,
      use_bias=False,
      kernel_init=torch_uniform,
      dtype=full.compute_dtype,
      param_dtype=full.param_dtype,
    )

  def __call__(self, pooled: Array, *, train: bool) -> tuple[Array, Array]:
    """Maps merged features [2b, c] to (feature after the necks [2b, c], logits [2b, classes])."""
    visible, infrared = split(pooled)
    feature = merge(self.visible(visible, train=train), self.infrared(infrared, train=train))
    return feature, self.classifier(feature)

  def embed(self, pooled: Array, modality: str, place: str) -> Array:
    """Maps pooled features [n, c] of one modality to the retrieval feature [n, c]."""
    if place == "before_neck":
      return pooled
    neck = self.visible if modality == MODALITIES[0] else self.infrared
    return neck(pooled, train=False)
