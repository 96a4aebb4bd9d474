"""Modality-shared enhancement loss (MSEL) of PMT."""

import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import pairwise_distance


def modality_shared_enhancement(visible: Array, infrared: Array, labels: Array) -> Array:
  """Makes an identity as far from its images of the other modality as from those of its own.

  For an anchor j of modality m, with d the Euclidean distance, c_j its mean over the identity's
  images of the other modality and a_j its mean over the other images of its own modality:

    L = 1/2 sum_m mean_{j in m} (c_j - a_j)^2

  An anchor without another image of its identity and modality counts as 0.

  Args:
    visible: float [n, d], features, not normalised. On a mesh of several devices, replicate the
      rows first (`runtime.mesh.on_all_devices`).
    infrared: float [n, d], likewise.
    labels: int [n], of the rows of both.

  Returns:
    Scalar, at least 0.

  Reference:
    Lu et al., "Learning Progressive Modality-shared Transformers for Effective Visible-Infrared
    Person Re-identification", AAAI 2023, section 3.3.
  """
  same = labels[:, None] == labels[None, :]
  return (_one_side(visible, infrared, same) + _one_side(infrared, visible, same)) / 2


def _one_side(anchors: Array, others: Array, same: Array) -> Array:
  """Returns mean_j (c_j - a_j)^2 over the anchors [n, d]."""
  positive = same & ~jnp.eye(len(same), dtype=bool)
  across = _row_mean(pairwise_distance(anchors, others), same)
  within = _row_mean(pairwise_distance(anchors), positive)
  return jnp.mean(jnp.where(positive.any(axis=1), across - within, 0.0) ** 2)


def _row_mean(distance: Array, mask: Array) -> Array:
  return jnp.sum(distance * mask, axis=1) / jnp.maximum(mask.sum(axis=1), 1)
