"""k-reciprocal re-ranking with dense matrices, jitted: the form for an accelerator.

Sets of neighbours are rows of 0 and 1, so that their overlaps are matrix products; the minima of
encodings are summed in blocks of queries. On a CPU the sparse form of `reranking` does a hundredth
of the work.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 8  # queries whose minima with the whole gallery are taken at once


def rerank(
  distances, queries: int, *, k1: int, k2: int, lambda_value: float, query_only: bool
) -> np.ndarray:
  """Computes what `reranking.rerank` does, with the same arguments, on the default device."""
  found = _rerank(distances, queries, k1, k2, lambda_value, query_only)
  return np.asarray(found)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _rerank(distances, queries, k1, k2, lambda_value, query_only):
  count = len(distances)
  scale = jnp.maximum(distances.max(axis=1, keepdims=True), jnp.finfo(distances.dtype).tiny)
  looked_up = distances
  if query_only:
    looked_up = jnp.where(jnp.arange(count) < queries, distances, distances.max())
  _, nearest = jax.lax.top_k(-looked_up, min(max(k1 + 1, k2), count))  # of equal ones the earlier
  members = _expanded(nearest, k1)
  weight = jnp.where(members, jnp.exp(-distances / scale), 0)
  # Looked up among queries alone, gallery images have no reciprocal neighbours of their own.
  weight /= jnp.maximum(weight.sum(axis=1, keepdims=True), jnp.finfo(weight.dtype).tiny)
  encoding = _average(weight, nearest[:, :k2])
  jaccard = _jaccard_distance(encoding[:queries], encoding[queries:])
  return (1 - lambda_value) * jaccard + lambda_value * distances[:queries, queries:] / scale[
    :queries
  ]


def _expanded(nearest, k1):
  """Returns bool [n, n]: each image's k-reciprocal neighbours, with the sets that join them."""
  wide, narrow = _mutual(nearest[:, : k1 + 1]), _mutual(nearest[:, : round(k1 / 2) + 1])
  # Sums of at most k1 + 1 ones are exact in every float type, the tensor cores' included.
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
  """Returns the mean encoding over each image's nearest ones."""
  if nearest.shape[1] == 1:  # the nearest need not be the image itself
    return encoding
  summed = sum(encoding[nearest[:, place]] for place in range(nearest.shape[1]))
  return summed / nearest.shape[1]


def _jaccard_distance(query, gallery):
  """Returns [q, g]: one minus sum of minima over sum of maxima, for rows of sum 1."""

  def overlap(row):
    return jnp.minimum(row, gallery).sum(axis=1)

  shared = jax.lax.map(overlap, query, batch_size=BLOCK)
  return jnp.maximum(1 - shared / (2 - shared), 0)
