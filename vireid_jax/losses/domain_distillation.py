"""Domain distillation of DNS: modality classifiers that agree with each other's average."""

from jax import Array

from vireid_jax.losses.cross_entropy import cross_entropy
from vireid_jax.losses.divergence import divergence

IDENTITY_WEIGHT = 0.25


def domain_distillation(
  own: tuple[Array, Array], other: tuple[Array, Array], labels: Array
) -> Array:
  """Divergence from the own classifier to the other modality's, and the own ones' cross-entropy.

  L = (KL(own_v || other_v) + KL(own_r || other_r)) / 2 + 0.25 (CE(own_v) + CE(own_r)), each the
  mean over its rows.

  Args:
    own: logits [b, classes] of the visible and the infrared images by their modality's classifier.
    other: logits [b, classes] of the same images by the other modality's average, a teacher: the
      caller stops its gradient.
    labels: int [b], of either modality.

  Returns:
    Scalar, at least 0.

  Reference:
    Jiang et al., "Domain Shifting: A Generalized Solution for Heterogeneous Cross-Modality Person
    Re-Identification", ECCV 2024; weight of the published code.
  """
  apart = sum(divergence(x, y) for x, y in zip(own, other, strict=True)) / 2
  return apart + IDENTITY_WEIGHT * sum(cross_entropy(logits, labels) for logits in own)
