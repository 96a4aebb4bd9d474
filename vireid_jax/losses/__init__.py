"""Losses: pure functions of arrays. No Linen, no configuration."""

from vireid_jax.losses.center_cluster import center_cluster
from vireid_jax.losses.center_guided_pair_mining import center_guided_pair_mining
from vireid_jax.losses.circle import circle
from vireid_jax.losses.cross_entropy import cross_entropy
from vireid_jax.losses.cross_modality_retrieval import cross_modality_retrieval
from vireid_jax.losses.discrepancy import domain_alignment, maximum_mean_discrepancy
from vireid_jax.losses.discriminative_center import discriminative_center
from vireid_jax.losses.distance import paired_distance, pairwise_distance, unit
from vireid_jax.losses.divergence import divergence
from vireid_jax.losses.domain_distillation import domain_distillation
from vireid_jax.losses.enhanced_squared_difference import enhanced_squared_difference
from vireid_jax.losses.identity_alignment import identity_alignment
from vireid_jax.losses.metric import METRIC_LOSSES, metric_loss, trivial_value
from vireid_jax.losses.modality_shared_enhancement import modality_shared_enhancement
from vireid_jax.losses.orthogonality import orthogonality
from vireid_jax.losses.part_diversity import part_diversity
from vireid_jax.losses.separation import separation
from vireid_jax.losses.shared_specific import shared_specific
from vireid_jax.losses.soft_rank import soft_rank
from vireid_jax.losses.teacher import soft_cross_entropy, softened_divergence
from vireid_jax.losses.triplet import batch_hard_triplet
from vireid_jax.losses.wrt import weighted_distances, weighted_regularized_triplet

__all__ = [
  "METRIC_LOSSES",
  "batch_hard_triplet",
  "center_cluster",
  "center_guided_pair_mining",
  "circle",
  "cross_entropy",
  "cross_modality_retrieval",
  "discriminative_center",
  "divergence",
  "domain_alignment",
  "domain_distillation",
  "enhanced_squared_difference",
  "identity_alignment",
  "maximum_mean_discrepancy",
  "metric_loss",
  "modality_shared_enhancement",
  "orthogonality",
  "paired_distance",
  "pairwise_distance",
  "part_diversity",
  "separation",
  "shared_specific",
  "soft_cross_entropy",
  "soft_rank",
  "softened_divergence",
  "trivial_value",
  "unit",
  "weighted_distances",
  "weighted_regularized_triplet",
]
