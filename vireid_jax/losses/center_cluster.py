"""Centre cluster loss of MPANet; with a slack, the centre separation of SAAI."""

import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import SMALLEST_SQUARE, pairwise_distance


def center_cluster(
  features: Array, labels: Array, *, margin: float = 0.7, slack: float = 0.0
) -> Array:
  """Pulls features to the centre of their identity and pushes the centres apart.

  L = mean_i max(0, ||f_i - c_{y_i}|| - slack) + mean over ordered pairs of identities k != j of
  max(0, margin - ||c_k - c_j||), where c_k is the mean feature of identity k over both modalities.
  Every pair of identities counts the same, however many images each has.

  Args:
    features: float [n, d], not normalised; computed in float32 at least.
    labels: int [n].
    margin: Margin, in the unit of the feature distance.
    slack: Distance from the centre that costs nothing; 0 in MPANet, 0.01 in SAAI.

  Returns:
    Scalar, at least 0. A single identity has no pair and contributes only its spread.

  Reference:
    Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification",
    CVPR 2021, section 3.4. With slack: Fang, Yang, Fu, "Visible-Infrared Person Re-Identification
    via Semantic Alignment and Affinity Inference", ICCV 2023.
  """
  features = features.astype(jnp.promote_types(features.dtype, jnp.float32))
  same = (labels[:, None] == labels[None, :]).astype(features.dtype)
  count = same.sum(axis=1)
  # One row per image, so that no shape depends on the number of identities.
  centers = jnp.matmul(same, features, precision="highest") / count[:, None]
  square = jnp.sum((features - centers) ** 2, axis=1)
  distance = jnp.sqrt(jnp.maximum(square, SMALLEST_SQUARE))
  spread = jnp.mean(jnp.maximum(0.0, distance - slack))
  hinge = jnp.maximum(0.0, margin - pairwise_distance(centers))
  weight = (1 - same) / (count[:, None] * count[None, :])
  pairs = jnp.sum(weight)
  return spread + jnp.sum(weight * hinge) / jnp.where(pairs > 0, pairs, 1.0)
