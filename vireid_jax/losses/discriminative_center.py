"""Discriminative centre loss (DCL) of PMT."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import pairwise_distance


def discriminative_center(features: Array, labels: Array) -> Array:
  """Pulls features to their identity's centre and the near ones of other identities away from it.

  With the centre C_p of all features of an identity p, whatever their modality, and D_pj =
  d(C_p, f_j): N_p are the features j of other identities with D_pj below the mean of all of them,
  and

    L = mean_{p, j: y_j = p} D_pj / mean_p mean_{j in N_p} D_pj

  The mean is over all positive pairs. Which features are in N_p has no gradient; centres have one.

  Args:
    features: float [n, d], not normalised. On a mesh of several devices, replicate the rows first
      (`runtime.mesh.on_all_devices`).
    labels: int [n].

  Returns:
    Scalar, at least 0; 1 when all features are equal. 0 if there is one identity only.

  Reference:
    Lu et al., "Learning Progressive Modality-shared Transformers for Effective Visible-Infrared
    Person Re-identification", AAAI 2023, section 3.4.
  """
  features = features.astype(jnp.promote_types(features.dtype, jnp.float32))
  same = labels[:, None] == labels[None, :]
  count = same.sum(axis=1)
  # One row for each feature, so that no shape depends on the number of identities.
  centers = jnp.matmul(same.astype(features.dtype), features, precision="highest") / count[:, None]
  distance = pairwise_distance(centers, features)
  per_identity = 1 / count
  positive = jnp.sum(per_identity[:, None] * same * distance) / len(labels)
  negative = jnp.sum(per_identity * _near_mean(distance, ~same)) / jnp.sum(per_identity)
  return jnp.where(same.all(), 0.0, positive / jnp.where(same.all(), 1.0, negative))


def _near_mean(distance: Array, negative: Array) -> Array:
  """Returns the mean over each row's negatives that are nearer than their mean, [n].

  Where all negatives are equally far, it is their mean.
  """
  constant = jax.lax.stop_gradient(distance)
  mean = _row_mean(constant, negative)
  near = negative & (constant < mean[:, None])
  return _row_mean(distance, jnp.where(near.any(axis=1, keepdims=True), near, negative))


def _row_mean(distance: Array, mask: Array) -> Array:
  return jnp.sum(distance * mask, axis=1) / jnp.maximum(mask.sum(axis=1), 1)
