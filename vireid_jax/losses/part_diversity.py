"""Part diversity loss of SAAI."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from vireid_jax.losses.distance import SMALLEST_SQUARE


def part_diversity(attention: Array) -> Array:
  """Rewards attention maps of an image that differ from each other.

  L = -mean over images of 2 / (p (p - 1)) sum_{k < l} sqrt(mean over positions of (A_k - A_l)^2).

  Args:
    attention: float [n, h, w, p], in [0, 1]; p at least 2.

  Returns:
    Scalar in [-1, 0].

  Reference:
    Fang, Yang, Fu, "Visible-Infrared Person Re-Identification via Semantic Alignment and Affinity
    Inference", ICCV 2023, and its published code. Equal maps have a finite gradient here.
  """
  attention = attention.astype(jnp.promote_types(attention.dtype, jnp.float32))
  first, second = np.triu_indices(attention.shape[-1], 1)
  square = jnp.mean((attention[..., first] - attention[..., second]) ** 2, axis=(1, 2))
  return -jnp.mean(jnp.sqrt(jnp.maximum(square, SMALLEST_SQUARE)))
