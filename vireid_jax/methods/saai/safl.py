"""Semantic-aligned feature learning of SAAI: parts pooled around learned prototypes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.models.numerics import Numerics


class SAFL(nn.Module):
  """Pools a map under its similarity to each of several prototypes, and globally.

  A = sigmoid((X + E) T) with prototypes T and a position embedding E; part k = mean over positions
  of A_k X. The position decides where a part looks, and is not part of the feature. E has a row per
  position, so that a network fits one size of images.

  Attributes:
    parts: Number of prototypes.
    numerics: Dtype; pooling is in float32 at least.

  Reference:
    Fang, Yang, Fu, "Visible-Infrared Person Re-Identification via Semantic Alignment and Affinity
    Inference", ICCV 2023, section 3.2.
  """

  parts: int = 7
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, x: Array) -> tuple[Array, Array]:
    """Maps [n, h, w, c] to features [n, (parts + 1) c], the parts first, and A [n, h, w, parts]."""
    n, height, width, channels = x.shape
    full, positions = self.numerics.param_dtype, height * width
    draw = nn.initializers.variance_scaling(2.0, "fan_in", "normal")  # Kaiming
    prototypes = self.param("prototypes", draw, (channels, self.parts), full)
    embedding = self.param("position", draw, (channels, positions), full)
    # (X + E) T, without a sum in the size of the map.
    shift = jnp.matmul(embedding.T, prototypes, precision="highest")
    logits = jnp.einsum(
      "nhwc,cp->nhwp", x, prototypes.astype(x.dtype), preferred_element_type=full
    ) + shift.reshape(height, width, self.parts)
    attention = jax.nn.sigmoid(logits)
    parts = jnp.einsum("nhwp,nhwc->npc", attention, x, preferred_element_type=full) / positions
    whole = jnp.mean(x, axis=(1, 2), dtype=full)
    return jnp.concatenate([parts.reshape(n, -1), whole], axis=-1), attention
