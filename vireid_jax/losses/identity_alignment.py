"""Identity alignment loss of MUN."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import paired_distance, pairwise_distance


def identity_alignment(
  features: Sequence[Array],
  labels: Array,
  *,
  margin: float = 0.3,
) -> Array:
  """Triplet loss on the identity centres of several modalities, with the hardest pairs.

  L = mean over modalities m and identities p of
      max(0, margin + max_{m' != m} ||c_m^p - c_m'^p|| - min_{m', q != p} ||c_m^p - c_m'^q||),
  where c_m^p is the mean feature of identity p in modality m.

  Args:
    features: float [b, d] per modality, not normalised; row i of each has label labels[i]. On a
      mesh of several devices, replicate the rows first (`runtime.mesh.on_all_devices`).
    labels: int [b].
    margin: Margin, in the unit of the feature distance.

  Returns:
    Scalar, at least 0, float32 at least; 0 for a single identity, which has no negative pair.

  Reference:
    Yu et al., "Modality Unifying Network for Visible-Infrared Person Re-Identification", ICCV 2023,
    identity alignment loss; the exact form is our reading of it.
  """
  full = jnp.promote_types(features[0].dtype, jnp.float32)
  same = (labels[:, None] == labels[None, :]).astype(full)
  count = same.sum(axis=1)
  # One row per image, so that no shape depends on the number of identities.
  centers = [
    jnp.matmul(same, x.astype(full), precision="highest") / count[:, None] for x in features
  ]
  hinges = [_hinge(centers, anchor, same > 0, margin) for anchor in range(len(centers))]
  weight = 1 / count
  return jnp.sum(weight * sum(hinges)) / (jnp.sum(weight) * len(hinges))


def _hinge(centers: list[Array], anchor: int, same: Array, margin: float) -> Array:
  """Returns the hinge [b] with the centres of one modality as anchors."""
  anchors = centers[anchor]
  others = [center for index, center in enumerate(centers) if index != anchor]
  furthest = jnp.max(jnp.stack([paired_distance(anchors, other) for other in others]), axis=0)
  between = jnp.min(jnp.stack([pairwise_distance(anchors, center) for center in centers]), axis=0)
  nearest = jnp.min(jnp.where(same, jnp.inf, between), axis=1)
  return jnp.maximum(0.0, margin + furthest - nearest)
