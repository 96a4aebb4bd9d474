"""Losses: pure functions of arrays. No Linen, no configuration."""

from vireid_jax.losses.center_cluster import center_cluster
from vireid_jax.losses.cross_entropy import cross_entropy
from vireid_jax.losses.distance import pairwise_distance
from vireid_jax.losses.divergence import divergence
from vireid_jax.losses.separation import separation
from vireid_jax.losses.triplet import batch_hard_triplet
from vireid_jax.losses.wrt import weighted_regularized_triplet

__all__ = [
  "batch_hard_triplet",
  "center_cluster",
  "cross_entropy",
  "divergence",
  "pairwise_distance",
  "separation",
  "weighted_regularized_triplet",
]
