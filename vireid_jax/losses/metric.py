"""Metric losses that a config may choose by name."""

import math

from jax import Array

from vireid_jax.losses.enhanced_squared_difference import enhanced_squared_difference
from vireid_jax.losses.triplet import batch_hard_triplet
from vireid_jax.losses.wrt import weighted_regularized_triplet

METRIC_LOSSES = {
  "wrt": lambda x, y, margin: weighted_regularized_triplet(x, y),
  "wrt_legacy": lambda x, y, margin: weighted_regularized_triplet(x, y, legacy=True),
  "enhanced_squared_difference": lambda x, y, margin: enhanced_squared_difference(x, y),
  "triplet": lambda x, y, margin: batch_hard_triplet(x, y, margin=margin),
}
SOFT_MARGINS = ("wrt", "wrt_legacy", "enhanced_squared_difference")


def trivial_value(name: str, *, margin: float) -> float:
  """Returns the value of a metric loss when all features are equal.

  Args:
    name: Name of the loss, as in `metric_loss`.
    margin: Margin of 'triplet'.
  """
  return math.log(2) if name in SOFT_MARGINS else margin


def metric_loss(name: str, features: Array, labels: Array, *, margin: float) -> Array:
  """Computes a metric loss by name.

  Args:
    name: 'wrt', 'wrt_legacy' (WRT as AGW's published code computes it),
      'enhanced_squared_difference' (CAJ's) or 'triplet'.
    features: float [n, d].
    labels: int [n].
    margin: Margin of 'triplet'.

  Returns:
    Scalar, at least 0.
  """
  return METRIC_LOSSES[name](features, labels, margin)
