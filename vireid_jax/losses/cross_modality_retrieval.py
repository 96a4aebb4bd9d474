"""Cross-modality retrieval loss of MCJA: soft ranks of a gallery against ideal ones."""

import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import unit
from vireid_jax.losses.soft_rank import soft_rank

STRENGTH = 0.5


def cross_modality_retrieval(
  features: Array, labels: Array, modality: Array, *, strength: float = STRENGTH
) -> Array:
  """Mean distance of a gallery's soft ranks from ideal ones, averaged over both directions.

  Each row is a query, and the G rows of the other modality are its gallery. Its m matches should
  have rank 1 and all others rank G. With the cosine similarities c, a query's loss is

    1/G sum_g |r_g - t_g|,   r = soft_rank((1 - c) / 2, strength),   t_g = 1 for matches, else G.

  Queries without a match, or with matches only, are left out, and so is a direction without
  queries. As (1 - c) / 2 is at most 1, the projection behind r pools all items into one block if
  G strength >= 2. Then r is linear, and a query's loss is exactly

    (G - 1) / 2 - m / (G strength) (mean_{matches} c - mean_{all} c).

  Strengths of 0.5 and above are computed like this, whatever G is; smaller ones by `soft_rank`,
  in O(n^3) numbers.

  Args:
    features: float [n, d]; L2-normalised here, in float32 at least.
    labels: int [n].
    modality: int [n], 0 visible and 1 infrared; any mixture.
    strength: Strength of the soft ranks' regularisation, above 0; 0.5 in the published code.

  Returns:
    Scalar, at least 0; (G - 1) / 2 when all features are equal.

  Reference:
    Liang et al., "Bridging the Gap: Multi-Level Cross-Modality Joint Alignment for
    Visible-Infrared Person Re-Identification", TCSVT 2024, and its published code.
  """
  features = unit(features)
  c = jnp.matmul(features, features.T, precision="highest")
  gallery = modality[:, None] != modality[None]
  match = gallery & (labels[:, None] == labels[None])
  sizes, matches = gallery.sum(axis=1), match.sum(axis=1)
  is_query = (matches > 0) & (matches < sizes)
  sizes, matches = jnp.maximum(sizes, 1), jnp.maximum(matches, 1)
  if strength >= STRENGTH:
    contrast = _mean(c, match, matches) - _mean(c, gallery, sizes)
    rows = (sizes - 1) / 2 - matches / (sizes * strength) * contrast
  else:
    ranks = soft_rank((1 - c) / 2, strength=strength, mask=gallery)
    target = jnp.where(match, 1, sizes[:, None])
    rows = _mean(jnp.abs(ranks - target), gallery, sizes)
  return _mean_of_directions(rows, is_query, modality)


def _mean(x: Array, mask: Array, count: Array) -> Array:
  """Means of the rows of x [n, n] over `count` [n] masked entries."""
  return jnp.sum(jnp.where(mask, x, 0), axis=1) / count


def _mean_of_directions(rows: Array, is_query: Array, modality: Array) -> Array:
  """Averages the queries of each modality, and then the modalities that have any."""
  queries = is_query & (modality == jnp.arange(2)[:, None])
  count = queries.sum(axis=1)
  means = jnp.sum(jnp.where(queries, rows, 0), axis=1) / jnp.maximum(count, 1)
  return jnp.sum(means) / jnp.maximum(jnp.sum(count > 0), 1)
