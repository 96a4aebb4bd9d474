"""One classifier per modality, and its moving average, which teaches the other modality."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.records import MODALITIES
from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.numerics import Numerics

COLLECTION = "mean_classifiers"


class ModalityClassifiers(nn.Module):
  """Linear classifiers without bias, and their exponential moving averages.

  The averages are not parameters: they are kept in the collection 'mean_classifiers', start equal
    to
  the classifiers, and receive no gradient.

  Attributes:
    num_classes: Number of training identities.
    numerics: Dtype; the classifiers compute in float32 at least.

  Reference:
    Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification",
    CVPR 2021, section 3.4.
  """

  num_classes: int
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, visible: Array, infrared: Array, rate: Array) -> tuple[Array, ...]:
    """Classifies features by their modality's classifier and by the other's moving average.

    Args:
      visible, infrared: float [b, d].
      rate: float scalar in [0, 1], weight of a classifier in the update of its average, which is
        applied first.

    Returns:
      Four logits [b, classes]: visible features by the visible classifier, infrared by the
      infrared, visible by the infrared average, and infrared by the visible average. The last two
      carry no gradient.
    """
    shape, dtype = (visible.shape[-1], self.num_classes), self.numerics.param_dtype
    kernels = [self.param(name, torch_uniform, shape, dtype) for name in MODALITIES]
    means = [
      self._average(name, kernel, rate) for name, kernel in zip(MODALITIES, kernels, strict=True)
    ]
    return (
      visible @ kernels[0],
      infrared @ kernels[1],
      jax.lax.stop_gradient(visible) @ means[1],
      jax.lax.stop_gradient(infrared) @ means[0],
    )

  def _average(self, name: str, kernel: Array, rate: Array) -> Array:
    # The addition allocates a new buffer: the step donates the parameter's.
    mean = self.variable(COLLECTION, name, lambda: kernel + jnp.zeros_like(kernel))
    if not self.is_initializing():
      mean.value = (1 - rate) * mean.value + rate * jax.lax.stop_gradient(kernel)
    return jax.lax.stop_gradient(mean.value)
