"""k-reciprocal re-ranking with dense matrices, jitted, for accelerators.

Neighbour sets are rows of 0 and 1, so their overlaps are matrix products; the minima of encodings
are summed in blocks of queries. On a CPU the sparse form in `reranking` does a hundredth of the
work.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 8  # queries compared with the whole gallery at once


def rerank(
  distances,
  queries: int,
  *,
  k1: int,
  k2: int,
  lambda_value: float,
  query_only: bool,
  expand: bool = True,
) -> np.ndarray:
  """Computes `reranking.rerank` on the default device, with the same arguments."""
  found = _rerank(distances, queries, k1, k2, lambda_value, query_only, expand)
  return np.asarray(found)


def lower(
  distances: jax.ShapeDtypeStruct,
  queries: int,
  *,
  k1: int,
  k2: int,
  lambda_value: float,
  query_only: bool,
) -> jax.stages.Lowered:
  """Lowers `rerank` for the shape and the device of `distances`."""
  return _rerank.lower(distances, queries, k1, k2, lambda_value, query_only, True)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5, 6))
def _rerank(distances, queries, k1, k2, lambda_value, query_only, expand):
  count = len(distances)
  scale = jnp.maximum(distances.max(axis=1, keepdims=True), jnp.finfo(distances.dtype).tiny)
  looked_up = distances
  if query_only:
    looked_up = jnp.where(jnp.arange(count) < queries, distances, distances.max())
  _, nearest = jax.lax.top_k(-looked_up, min(max(k1 + 1, k2), count))  # ties: earlier index first
  members = _expanded(nearest, k1) if expand else _mutual(nearest[:, : k1 + 1])
  weight = jnp.where(members, jnp.exp(-distances / scale), 0)
  # With `query_only`, gallery images have no reciprocal neighbours.
  weight /= jnp.maximum(weight.sum(axis=1, keepdims=True), jnp.finfo(weight.dtype).tiny)
  encoding = _average(weight, nearest[:, :k2])
  jaccard = _jaccard_distance(encoding[:queries], encoding[queries:])
  return (1 - lambda_value) * jaccard + lambda_value * distances[:queries, queries:] / scale[
    :queries
  ]


def _expanded(nearest, k1):
  """Returns bool [n, n], the expanded set of k-reciprocal neighbours of each image."""
  wide, narrow = _mutual(nearest[:, : k1 + 1]), _mutual(nearest[:, : round(k1 / 2) + 1])
  # Sums of at most k1 + 1 ones are exact in every float type, including those of tensor cores.
  inside = _product(wide, narrow.T)
  joins = wide & (3 * inside > 2 * narrow.sum(axis=1))
  return wide | (_product(joins, narrow) > 0)


def _mutual(neighbours):
  """Marks the pairs that are neighbours of each other, bool [n, n]."""
  count = len(neighbours)
  marked = jnp.zeros((count, count), bool).at[jnp.arange(count)[:, None], neighbours].set(True)
  return marked & marked.T


def _product(left, right):
  left, right = left.astype(jnp.bfloat16), right.astype(jnp.bfloat16)
  return jnp.matmul(left, right, preferred_element_type=jnp.float32)


def _average(encoding, nearest):
  """Averages each image's encoding over its nearest neighbours (local query expansion)."""
  if nearest.shape[1] == 1:  # the nearest need not be the image itself
    return encoding
  summed = sum(encoding[nearest[:, place]] for place in range(nearest.shape[1]))
  return summed / nearest.shape[1]


def _jaccard_distance(query, gallery):
  """Returns [q, g]: one minus sum of minima over sum of maxima; rows sum to 1."""

  def overlap(row):
    return jnp.minimum(row, gallery).sum(axis=1)

  shared = jax.lax.map(overlap, query, batch_size=BLOCK)
  return jnp.maximum(1 - shared / (2 - shared), 0)
