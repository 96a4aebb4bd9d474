"""Ranked-list metrics by counting: CMC, mAP and mINP, exact for ties.

Only the positions of a query's true matches matter, and a position is the number of gallery images
that are closer (or equally close and earlier). Sorting the *values* of each row and searching for
the matches is several times cheaper than an argsort; rows in which a match is tied are ranked by a
stable sort instead. NumPy's vectorised sort, in threads over blocks of queries, was faster than all
jitted versions on a CPU; the similarities are on the host anyway.
"""

import concurrent.futures
import dataclasses
import os

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.query_scores import QueryScores


def evaluate_ranking(
  similarity,
  query_ids,
  gallery_ids,
  *,
  exclude=None,
  unique_identities: bool = False,
  max_rank: int = 20,
  block_size: int = 512,
) -> dict:
  """Ranks the gallery for each query and computes CMC, mAP and mINP.

  With matches at ranks r_1 < ... < r_m, from 1: AP = (1/m) sum_j j / r_j and INP = m / r_m. Ties
  are ranked by gallery index, as in a stable descending sort.

  Args:
    similarity: float [q, g], finite, larger is closer.
    query_ids: int [q], identity of each query.
    gallery_ids: int [g], identity of each gallery image.
    exclude: bool [q, g], true where a gallery image is left out of a query's list.
    unique_identities: Whether CMC counts distinct identities (their first occurrence) instead of
      images; AP and INP always use the full list.
    max_rank: Length of the CMC curve; it is constant beyond the last gallery image.
    block_size: Number of queries that each thread ranks at once; limits the memory.

  Returns:
    `cmc` float64 [max_rank], `mAP` and `mINP`, all in [0, 1], over the queries with a match, and
    the number of these, `valid_queries`. If it is 0, so are all rates.

  Raises:
    UserError: Shapes do not match, or a similarity is not finite.

  Reference: INP is from Ye et al., "Deep Learning for Person Re-identification: A Survey and
  Outlook", section 4.
  """
  if max_rank < 1:
    raise UserError(f"max_rank is {max_rank}; it must be at least 1")
  scores = score_queries(
    similarity,
    query_ids,
    gallery_ids,
    exclude=exclude,
    unique_identities=unique_identities,
    block_size=block_size,
  )
  return scores.summary(max_rank)


def score_queries(
  similarity,
  query_ids,
  gallery_ids,
  *,
  columns=None,
  exclude=None,
  unique_identities: bool = False,
  block_size: int = 512,
) -> QueryScores:
  """Scores each query's list, as in `evaluate_ranking`, on given columns of the similarity.

  Args:
    similarity: float [q, n], larger is closer.
    query_ids: int [q].
    gallery_ids: int [g], identities of the gallery images.
    columns: int [g], column of `similarity` for each gallery image; all n if None. Gathering here,
      block by block, avoids a copy of the whole matrix per gallery draw.
    exclude: bool [q, g], true where a gallery image is left out of a query's list; or None.
    unique_identities: Whether `first_match` counts identities instead of images.
    block_size: Number of queries that each thread ranks at once.

  Returns:
    The scores, in the order of the queries.

  Raises:
    UserError: Shapes do not match, or a similarity is not finite.
  """
  similarity, query_ids, gallery_ids = map(np.asarray, (similarity, query_ids, gallery_ids))
  columns = np.arange(similarity.shape[-1]) if columns is None else np.asarray(columns)
  exclude = None if exclude is None else np.asarray(exclude, bool)
  _check_shapes(similarity, query_ids, gallery_ids, columns, exclude)
  if not len(gallery_ids) or not len(query_ids):
    return QueryScores.without_match(len(query_ids))
  whole = _Gallery.of(gallery_ids)

  def score(start):
    rows = slice(start, start + block_size)
    gallery, order, dropped = whole, whole.order, None
    if exclude is not None and exclude[rows].any():
      kept = np.flatnonzero(~exclude[rows].all(axis=0))  # some query of the block needs the image
      if not len(kept):
        return QueryScores.without_match(len(query_ids[rows]))
      gallery = _Gallery.of(gallery_ids[kept])
      order = kept[gallery.order]
      dropped = np.take(exclude[rows], order, axis=1)
    values = _read_block(similarity[rows], columns[order], dropped, start)
    return _score_block(values, query_ids[rows], gallery, unique_identities)

  with concurrent.futures.ThreadPoolExecutor(_threads()) as pool:
    return QueryScores.concatenate(list(pool.map(score, range(0, len(query_ids), block_size))))


def _threads():
  """Returns the number of blocks ranked at once: usable cores, at most 8 to save memory."""
  affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
  return min(len(affinity(0)) if affinity else os.cpu_count() or 1, 8)


@dataclasses.dataclass(frozen=True)
class _Gallery:
  """The gallery grouped by identity; images of an identity keep their order.

  Attributes:
    order: int [g], original index of each image of the grouped gallery.
    identities: int [i], distinct identities, sorted.
    starts, counts: int [i], first index and number of images of each identity in the grouped
      gallery.
  """

  order: np.ndarray
  identities: np.ndarray
  starts: np.ndarray
  counts: np.ndarray

  @classmethod
  def of(cls, gallery_ids):
    order = np.argsort(gallery_ids, kind="stable")
    identities, starts, counts = np.unique(
      gallery_ids[order], return_index=True, return_counts=True
    )
    return cls(order, identities, starts, counts)

  def group_of(self, query_ids):
    """Returns int [q], index into `identities`, and bool [q], whether the identity is there."""
    group = np.minimum(np.searchsorted(self.identities, query_ids), len(self.identities) - 1)
    return group, self.identities[group] == query_ids


def _check_shapes(similarity, query_ids, gallery_ids, columns, exclude):
  if similarity.ndim != 2 or len(similarity) != len(query_ids):
    raise UserError(
      f"similarity has shape {similarity.shape}, but there are {len(query_ids)} query identities; "
      "expected [queries, gallery]"
    )
  width = similarity.shape[1]
  inside = not len(columns) or (columns.min() >= 0 and columns.max() < width)
  if len(columns) != len(gallery_ids) or not inside:
    raise UserError(
      f"similarity has {width} columns, which does not match {len(gallery_ids)} gallery identities"
    )
  if exclude is not None and exclude.shape != (len(query_ids), len(gallery_ids)):
    raise UserError(
      f"exclude has shape {exclude.shape}; expected {(len(query_ids), len(gallery_ids))}"
    )


def _read_block(similarity, columns, dropped, start):
  """Returns float [b, g], grouped by identity, -inf where an image is left out."""
  exact = np.float64 if similarity.dtype.kind in "biu" else np.float32
  values = np.take(similarity, columns, axis=1, mode="clip")  # clip skips the bounds check
  if values.dtype not in (np.float32, np.float64):
    values = values.astype(exact)
  finite = np.isfinite(values)
  if dropped is not None:
    finite |= dropped
    np.copyto(values, -np.inf, where=dropped)  # several times faster than by index
  if not finite.all():
    row = int(np.flatnonzero(~finite.all(axis=1))[0])
    raise UserError(
      f"the similarities of query {start + row} hold NaN or infinite values; all must be finite. "
      "Check that the features are finite (a diverged network gives NaN), and leave gallery images "
      "out with `exclude`"
    )
  return values


def _score_block(values, query_ids, gallery, unique_identities):
  """Scores the queries of one block; `values` is float [b, g], grouped by identity."""
  group, present = gallery.group_of(query_ids)
  row, column = _matches(group, present, gallery)
  kept = values[row, column] > -np.inf
  row, column = row[kept], column[kept]
  matches = np.bincount(row, minlength=len(query_ids))
  before, tied = _count_closer(values, row, column)
  closer_identities = None
  if unique_identities:
    closer_identities = _count_closer_identities(values, group, gallery)
  if tied.any():  # the best images of two identities can only tie if a match ties
    position = _stable_positions(values[tied], gallery.order)
    slow_row = np.cumsum(tied) - 1
    redo = tied[row]
    before[redo] = position[slow_row[row[redo]], column[redo]]
    if unique_identities:
      closer_identities[tied] = _count_earlier_identities(position, group[tied], gallery)
  return _scores(row, before, matches, values.shape[1], closer_identities)


def _matches(group, present, gallery):
  """Returns the true matches as (query row, gallery column), grouped by query."""
  counts = gallery.counts[group] * present
  row = np.repeat(np.arange(len(group)), counts)
  within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
  return row, gallery.starts[group][row] + within


def _count_closer(values, row, column):
  """Counts the images strictly closer than each match; also returns bool [b], rows with a tie."""
  ordered = np.sort(values, axis=1)
  score = values[row, column]
  at_most = _count_at_most(ordered, row, score)
  # The match itself is at at_most - 1; an equal value before it belongs to another image.
  equal = (at_most >= 2) & (ordered[row, np.maximum(at_most - 2, 0)] == score)
  tied = np.zeros(len(values), bool)
  tied[row[equal]] = True
  return values.shape[1] - at_most, tied


def _count_at_most(ordered, row, score):
  """Counts the entries <= score in ascending rows, with one binary search for all pairs."""
  flat, start = ordered.ravel(), row * ordered.shape[1]
  low, length = start.copy(), ordered.shape[1]
  while length > 1:  # the result is in low .. low + length
    half = length // 2
    low += half * (flat[low + (half - 1)] <= score)
    length -= half
  return low + (flat[low] <= score) - start


def _count_closer_identities(values, group, gallery):
  """Counts the identities whose best image is strictly closer than the true identity's best."""
  best = np.maximum.reduceat(values, gallery.starts, axis=1)
  return (best > best[np.arange(len(group)), group][:, None]).sum(axis=1)


def _stable_positions(values, order):
  """Returns [b, g], the position, from 0, of each image in the row's stable descending sort."""
  given = np.empty_like(values)
  given[:, order] = values
  ranked = np.argsort(-given, axis=1, kind="stable")
  position = np.empty_like(ranked)
  np.put_along_axis(position, ranked, np.arange(values.shape[1])[None], axis=1)
  return position[:, order]


def _count_earlier_identities(position, group, gallery):
  """Counts the identities whose first image ranks before the true identity's first."""
  first = np.minimum.reduceat(position, gallery.starts, axis=1)
  return (first < first[np.arange(len(group)), group][:, None]).sum(axis=1)


def _scores(row, before, matches, width, closer_identities):
  """Turns the positions, from 0, of the matches into scores per query."""
  before = np.sort(row * width + before) - row * width  # ascending within each query
  end = np.cumsum(matches)
  hit = np.arange(1, len(row) + 1) - (end - matches)[row]
  found = matches > 0
  scores = QueryScores.without_match(len(matches))
  precision = np.bincount(row, weights=hit / (before + 1), minlength=len(matches))
  scores.average_precision[found] = precision[found] / matches[found]
  scores.inverse_negative_penalty[found] = matches[found] / (before[end[found] - 1] + 1)
  first = before[(end - matches)[found]] if closer_identities is None else closer_identities[found]
  scores.first_match[found] = first
  return scores
