"""Weighted regularised triplet loss, in the paper's form and in that of its published code."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import pairwise_distance, unit

LEGACY_EPSILON = 1e-6


def weighted_regularized_triplet(
  features: Array, labels: Array, *, normalize: bool = False, legacy: bool = False
) -> Array:
  """Soft-margin triplet over softmax-weighted positives and negatives.

  L = mean_i softplus(sum_j w+_ij d_ij - sum_j w-_ij d_ij), where w+ = softmax(d) over the images of
  the same identity (the anchor included) and w- = softmax(-d) over all others.

  The published code shifts each row by the maximum of the *masked* distances, zero for negatives,
  and adds 1e-6 to the sum: beyond distances of about 14 its negative weights no longer sum to one.
  `legacy` reproduces that; without it the weights are an exact softmax.

  Args:
    features: float [n, d].
    labels: int [n].
    normalize: L2-normalise the features first.
    legacy: Use the weights of AGW's published code.

  Returns:
    Scalar, at least 0. The weighted negative distance of an anchor without negatives is 0.

  Reference:
    Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", 2021, eq. 8-9.
  """
  if normalize:
    features = unit(features)
  furthest, closest = weighted_distances(features, labels, legacy=legacy)
  return jnp.mean(jax.nn.softplus(furthest - closest))


def weighted_distances(
  features: Array, labels: Array, *, alpha: float = 1.0, legacy: bool = False
) -> tuple[Array, Array]:
  """Returns each anchor's softmax-weighted distances to its positives and negatives.

  p_i = sum_j w+_ij d_ij and n_i = sum_j w-_ij d_ij, where w+ = softmax(alpha d) over the images of
  the same identity and w- = softmax(-alpha d) over all others; see `weighted_regularized_triplet`.

  Args:
    features: float [n, d].
    labels: int [n].
    alpha: Sharpness of the weights, above 0.
    legacy: Use the weights of AGW's published code.

  Returns:
    P and n, float [n].
  """
  distance = pairwise_distance(features)
  same = labels[:, None] == labels[None, :]
  weigh = _legacy_weights if legacy else _softmax_weights
  furthest = jnp.sum(weigh(alpha * distance, same) * distance, axis=1)
  closest = jnp.sum(weigh(-alpha * distance, ~same) * distance, axis=1)
  return furthest, closest


def _softmax_weights(score: Array, mask: Array) -> Array:
  """Softmax over the masked entries of each row; zeros for an empty mask."""
  lowest = jnp.finfo(score.dtype).min
  return jax.nn.softmax(jnp.where(mask, score, lowest), axis=1) * mask


def _legacy_weights(score: Array, mask: Array) -> Array:
  shift = jnp.max(score * mask, axis=1, keepdims=True)
  exponential = jnp.exp((score - shift) * mask) * mask
  return exponential / (jnp.sum(exponential, axis=1, keepdims=True) + LEGACY_EPSILON)
