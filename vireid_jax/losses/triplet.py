"""Batch-hard triplet loss."""

import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import pairwise_distance


def batch_hard_triplet(features: Array, labels: Array, *, margin: float = 0.3) -> Array:
  """Hinge between each anchor's farthest positive and nearest negative.

  L = mean_i max(0, margin + max_{j: y_j = y_i} d_ij - min_{j: y_j != y_i} d_ij). Modality is
  ignored: a positive may come from either. An anchor without negatives contributes 0.

  Args:
    features: float [n, d], not normalised.
    labels: int [n].
    margin: Margin, in the unit of the feature distance.

  Returns:
    Scalar, at least 0.

  Reference:
    Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017, eq. 5.
  """
  distance = pairwise_distance(features)
  same = labels[:, None] == labels[None, :]
  hardest_positive = jnp.max(jnp.where(same, distance, 0.0), axis=1)
  hardest_negative = jnp.min(jnp.where(same, jnp.inf, distance), axis=1)
  return jnp.mean(jnp.maximum(0.0, margin + hardest_positive - hardest_negative))
