"""A classifier per modality, and its moving average that teaches the other one."""

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

  The averages are no parameters: they live in the collection 'mean_classifiers', start equal to
  the classifiers, and no gradient reaches them.

  Attributes:
    num_classes: training identities.
    numerics: everything here computes in float32 at least.

  Reference:
    Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification",
    CVPR 2021, section 3.4.
  """

  num_classes: int
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, visible: Array, infrared: Array, rate: Array) -> tuple[Array, ...]:
    """Scores features by their own classifier and by the other modality's average.

    Args:
      visible, infrared: float [b, d].
      rate: scalar in [0, 1], the share of the classifier taken into its average before it is used.

    Returns:
      Logits [b, classes]: the visible features' own, the infrared features' own, the visible
      features' by the infrared average and the infrared features' by the visible one. The last two
      carry no gradient.
    """
    shape, dtype = (visible.shape[-1], self.num_classes), self.numerics.param_dtype
    kernels = [self.param(name, torch_uniform, shape, dtype) for name in MODALITIES]
    means = [
      self._average(name, kernel, rate) for name, kernel in zip(MODALITIES, kernels, strict=True)
    ]
    own = visible @ kernels[0], infrared @ kernels[1]
    return (
      *own,
      jax.lax.stop_gradient(visible) @ means[1],
      jax.lax.stop_gradient(infrared) @ means[0],
    )

  def _average(self, name: str, kernel: Array, rate: Array) -> Array:
    # The addition makes a buffer of its own: the step donates the parameter's.
    mean = self.variable(COLLECTION, name, lambda: kernel + jnp.zeros_like(kernel))
    if not self.is_initializing():
      mean.value = (1 - rate) * mean.value + rate * jax.lax.stop_gradient(kernel)
    return jax.lax.stop_gradient(mean.value)
