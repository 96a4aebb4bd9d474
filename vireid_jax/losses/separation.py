"""Separation loss of MPANet's pattern masks."""

import jax.numpy as jnp
from jax import Array


def separation(masks: Array) -> Array:
  """Penalises the overlap of an image's masks, so that each pattern covers its own region.

  L = mean over images of 2 / (p (p - 1)) sum_{i < j} <M_i, M_j>, with the inner product summed over
  all positions (larger maps weigh more).

  Args:
    masks: float [n, h, w, p], in [0, 1]; p at least 2.

  Returns:
    Scalar, at least 0.

  Reference:
    Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification",
    CVPR 2021, section 3.3.
  """
  masks = masks.astype(jnp.promote_types(masks.dtype, jnp.float32))
  count = masks.shape[-1]
  # The sum over ordered pairs is the square of the sum minus the sum of squares.
  overlap = jnp.sum(masks, axis=-1) ** 2 - jnp.sum(masks**2, axis=-1)
  return jnp.mean(jnp.sum(overlap, axis=(1, 2))) / (count * (count - 1))
