"""k-reciprocal re-ranking of a gallery.

An image's encoding has a few hundred non-zero entries, so on a CPU sparse rows cost a small
fraction of the dense all-pairs minimum. Accelerators use the dense form (`reranking_dense`).
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from vireid_jax.common import progress
from vireid_jax.common.errors import UserError
from vireid_jax.evaluators import checks
from vireid_jax.evaluators.similarity import similarity_matrix
from vireid_jax.runtime import platform

BLOCK = 256  # rows at once; limits temporary arrays to tens of MB


@dataclasses.dataclass(frozen=True)
class Reranking:
  """Parameters of re-ranking, as in `k_reciprocal_distance`."""

  name: ClassVar[str] = "rerank"
  cosine: ClassVar[bool] = False

  k1: int = 20
  k2: int = 6
  lambda_value: float = 0.3
  query_only: bool = False

  def __post_init__(self):
    _check_parameters(self.k1, self.k2, self.lambda_value)
    checks.flag("query_only", self.query_only)

  def of_setting(self, conditions: Mapping) -> "Reranking":
    """Returns the parameters, which are the same for every setting."""
    del conditions
    return self

  def ranker(self, query, *, normalize: bool) -> "Reranker":
    """Returns a re-ranker for some queries; see `Reranker`."""
    return Reranker(self, query, normalize=normalize)


class Reranker:
  """Re-ranks several galleries for the same queries, whose mutual distances are computed once."""

  def __init__(self, options: Reranking, query, *, normalize: bool):
    """Computes the distances among the queries, float [q, d]; `normalize` as in the evaluation."""
    self._options, self._normalize, self._query = options, normalize, np.asarray(query)
    self._among_queries = self._distances(self._query, self._query)

  def similarity(self, gallery, similarity) -> np.ndarray:
    """Returns the re-ranked similarity of queries and gallery.

    Args:
      gallery: float [g, d].
      similarity: float [q, g], plain similarity from `similarity_matrix`.

    Returns:
      float [q, g], the negative k-reciprocal distance.
    """
    count = len(self._query)
    if not count or not len(gallery):
      return np.asarray(similarity)  # nothing to rank; the caller reports it
    whole = np.empty((count + len(gallery),) * 2, self._among_queries.dtype)
    whole[:count, :count] = self._among_queries
    whole[:count, count:] = self._from_similarity(similarity)
    whole[count:, :count] = whole[:count, count:].T
    whole[count:, count:] = self._distances(gallery, gallery)
    return -rerank(whole, count, **dataclasses.asdict(self._options))

  def _distances(self, left, right):
    found = self._from_similarity(similarity_matrix(left, right, normalize=self._normalize))
    np.fill_diagonal(found, 0)
    return found

  def _from_similarity(self, similarity):
    squared = 2 - 2 * similarity if self._normalize else -similarity
    return np.maximum(squared, 0, out=squared)


def k_reciprocal_distance(
  query,
  gallery,
  *,
  k1: int = 20,
  k2: int = 6,
  lambda_value: float = 0.3,
  query_only: bool = False,
):
  """Combines the distance of two images with the Jaccard distance of their neighbourhoods.

  Neighbours are looked up among queries and gallery together, so a query's result depends on the
  other queries.

  Args:
    query: float [q, d]; float64 is kept, other types are computed in float32. L2-normalise both
      first if the plain ranking does.
    gallery: float [g, d].
    k1: Size of the neighbourhoods.
    k2: Number of neighbours over which an encoding is averaged; 1 does not average.
    lambda_value: Weight of the original distance, in [0, 1].
    query_only: Whether to look neighbours up only among the queries, as in one published
      evaluation on SYSU-MM01; the paper uses queries and gallery.

  Returns:
    float [q, g], smaller is closer; `-distance` is a similarity for `ranking.evaluate_ranking`.

  Raises:
    UserError: A parameter is out of range, or a feature is not finite.

  Reference: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding",
  CVPR 2017, section 3.
  """
  images = np.concatenate([np.asarray(query), np.asarray(gallery)])
  distances = np.maximum(-similarity_matrix(images, images, normalize=False), 0)
  np.fill_diagonal(distances, 0)
  return rerank(
    distances,
    len(query),
    k1=k1,
    k2=k2,
    lambda_value=lambda_value,
    query_only=query_only,
  )


def rerank(
  distances,
  queries: int,
  *,
  k1: int = 20,
  k2: int = 6,
  lambda_value: float = 0.3,
  query_only: bool = False,
  expand: bool = True,
):
  """Re-ranks with given distances, which saves work if several galleries share their queries.

  Args:
    distances: float [n, n], squared Euclidean, symmetric, with zeros on the diagonal; the first
      `queries` images are the queries, the others the gallery.
    queries: Number of queries.
    k1: As in `k_reciprocal_distance`, like the following.
    k2: Neighbours that are averaged.
    lambda_value: Weight of the given distance, in [0, 1].
    query_only: Whether neighbours are looked up among the queries only.
    expand: Whether sets of reciprocal neighbours are expanded, as in the paper.

  Returns:
    float [queries, n - queries], smaller is closer.

  Raises:
    UserError: A parameter is out of range.
  """
  _check_parameters(k1, k2, lambda_value)
  if not 0 < queries < len(distances):
    raise UserError(
      f"re-ranking got {queries} queries and {len(distances) - queries} gallery images; it needs "
      "at least one of each"
    )
  if not platform.is_cpu() and distances.dtype == np.float32:
    from vireid_jax.evaluators import reranking_dense

    return reranking_dense.rerank(
      distances,
      queries,
      k1=k1,
      k2=k2,
      lambda_value=lambda_value,
      query_only=query_only,
      expand=expand,
    )
  near = queries if query_only else len(distances)
  neighbours = nearest(distances, max(k1 + 1, k2), near)
  scale = np.maximum(distances.max(axis=1, keepdims=True), np.finfo(distances.dtype).tiny)
  encoding = _average(_encode(distances, scale, neighbours, k1, expand), neighbours[:, :k2])
  jaccard = _jaccard_distance(encoding[:queries], encoding[queries:])
  plain = distances[:queries, queries:] / scale[:queries]
  return ((1 - lambda_value) * jaccard + lambda_value * plain).astype(distances.dtype)


def _check_parameters(k1, k2, lambda_value):
  checks.count("k1 of the re-ranking", k1)
  checks.count("k2 of the re-ranking", k2)
  checks.share("lambda_value of the re-ranking", lambda_value)


def nearest(distances, count: int, near: int) -> np.ndarray:
  """Returns the nearest images of each row, closest first, ties by index.

  Args:
    distances: float [n, g].
    count: Number of images for each row, if there are as many.
    near: Images from this index on are treated as if they were farthest.

  Returns:
    int [n, count].
  """
  count, farthest = min(count, distances.shape[1]), distances.max()
  found = np.empty((len(distances), count), np.int64)
  for start in progress.tracked(range(0, len(distances), BLOCK), "finding neighbours"):
    block = distances[start : start + BLOCK].copy()
    block[:, near:] = farthest
    limit = np.partition(block, count - 1, axis=1)[:, count - 1 : count]
    row, column = np.nonzero(block <= limit)
    order = np.lexsort((column, block[row, column], row))
    first = np.searchsorted(row, np.arange(len(block)))
    found[start : start + BLOCK] = column[order][first[:, None] + np.arange(count)]
  return found


def _encode(distances, scale, nearest, k1, expand):
  """Returns sparse [n, n], weights of the (expanded) k-reciprocal neighbours; rows sum to 1."""
  import scipy.sparse

  wide, narrow = nearest[:, : k1 + 1], nearest[:, : round(k1 / 2) + 1]
  mutual, mutual_narrow = _mutual(wide), _mutual(narrow)
  rows, columns = [], []
  for start in progress.tracked(range(0, len(nearest), BLOCK), "comparing neighbours"):
    block = slice(start, start + BLOCK)
    if expand:
      row, column = _expand(wide[block], mutual[block], narrow, mutual_narrow)
    else:
      row, column = np.nonzero(mutual[block])[0], wide[block][mutual[block]]
    rows.append(row + start)
    columns.append(column)
  row, column = np.concatenate(rows), np.concatenate(columns)
  weight = np.exp(-distances[row, column] / scale[row, 0])
  weight /= np.bincount(row, weights=weight, minlength=len(nearest))[row]
  return scipy.sparse.csr_array((weight, (row, column)), shape=distances.shape)


def _mutual(neighbours):
  """Marks the neighbours that have the image among their own neighbours, bool [n, k]."""
  return (neighbours[neighbours] == np.arange(len(neighbours))[:, None, None]).any(axis=-1)


def _expand(neighbours, mutual, narrow, mutual_narrow):
  """Adds to each reciprocal set those of its members' narrow sets that overlap it by over 2/3.

  Returns (row in the block, image) of the members of the expanded sets.
  """
  member = np.zeros((len(neighbours), len(narrow)), bool)
  row = np.arange(len(neighbours))[:, None]
  member[np.nonzero(mutual)[0], neighbours[mutual]] = True
  candidates = narrow[neighbours]
  valid = mutual_narrow[neighbours] & mutual[:, :, None]
  inside = (member[row[:, :, None], candidates] & valid).sum(axis=-1)
  added = valid & (3 * inside > 2 * valid.sum(axis=-1))[:, :, None]
  member[np.nonzero(added)[0], candidates[added]] = True
  return np.nonzero(member)


def _average(encoding, nearest):
  """Averages each image's encoding over its nearest neighbours (local query expansion)."""
  import scipy.sparse

  count, width = nearest.shape
  if width == 1:
    return encoding
  ends = np.arange(0, count * width + 1, width)
  weights = np.full(count * width, 1 / width)
  return scipy.sparse.csr_array((weights, nearest.ravel(), ends), shape=(count, count)) @ encoding


def _jaccard_distance(query, gallery):
  """Returns float64 [q, g]: one minus sum of minima over sum of maxima; rows sum to 1."""
  overlap = np.zeros((query.shape[0], gallery.shape[0]))
  by_column = gallery.tocsc()
  for start in progress.tracked(range(0, len(overlap), BLOCK), "comparing neighbourhoods"):
    rows = query[start : start + BLOCK].tocoo()
    counts = np.diff(by_column.indptr)[rows.col]
    pair = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    entry = by_column.indptr[rows.col][pair] + within
    least = np.minimum(rows.data[pair], by_column.data[entry])
    cell = rows.row[pair].astype(np.int64) * overlap.shape[1] + by_column.indices[entry]
    summed = np.bincount(cell, weights=least, minlength=rows.shape[0] * overlap.shape[1])
    overlap[start : start + BLOCK] = summed.reshape(rows.shape[0], -1)
  return np.maximum(1 - overlap / (2 - overlap), 0)  # rounding makes identical rows negative
