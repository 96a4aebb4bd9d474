"""Joins the shared and both modalities' specific features of an image into one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.errors import choose
from vireid_jax.models.numerics import Numerics

FUSIONS = ("concat3", "weighted")


class Fusion(nn.Module):
  """The modality-complete feature: shared, visible, infrared, in this order for any image.

  Attributes:
    kind: 'concat3' lays the three side by side; 'weighted' adds them with learned weights, the
      softmax of three numbers that start equal.
    numerics: everything here computes in float32 at least.

  Reference:
    TMPA (arXiv 2312.07021); how the features are joined is our choice.
  """

  kind: str = "concat3"
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, shared: Array, visible: Array, infrared: Array) -> Array:
    """Maps three features [n, c] to [n, 3 c] ('concat3') or [n, c] ('weighted')."""
    if choose(self.kind, FUSIONS, "fusion") == "concat3":
      return jnp.concatenate([shared, visible, infrared], axis=-1)
    zeros = nn.initializers.zeros
    weights = jax.nn.softmax(self.param("weights", zeros, (3,), self.numerics.param_dtype))
    return weights[0] * shared + weights[1] * visible + weights[2] * infrared
