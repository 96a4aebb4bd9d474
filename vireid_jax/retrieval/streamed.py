"""Exact search among features on disk, which are read in blocks."""

from collections.abc import Iterator, Sequence

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.retrieval import searcher
from vireid_jax.retrieval.searcher import Labels, Ranking

ROWS_AT_ONCE = 8192  # 64 MiB of 2,048 float32 numbers


class StreamedSearcher:
  """A gallery of any size; its lists are those of `Searcher`.

  A query reads all features once, and several queries share that reading.
  """

  def __init__(self, features: np.ndarray, *, normalize: bool = True):
    """Takes the gallery without reading it.

    Args:
      features: float [n, d], usually a `numpy.memmap`; n at least 1.
      normalize: As in `Searcher`.

    Raises:
      UserError: The gallery is empty.
    """
    if not len(features):
      raise UserError("the gallery is empty; there is nothing to rank")
    self._features, self._normalize = features, normalize

  def __len__(self) -> int:
    return len(self._features)

  def __call__(
    self,
    queries: np.ndarray,
    *,
    top: int = 10,
    exclude: Sequence[Labels] = (),
    min_similarity: float = -np.inf,
  ) -> Ranking:
    """Ranks the gallery for each query; see `Searcher.__call__`."""
    queries = searcher.prepared(queries, self._features.shape[1], normalize=self._normalize)
    ranking = searcher.empty(len(queries), searcher.list_length(top, len(self)))
    values = np.full(ranking.rows.shape, -np.inf, np.float32)
    for rows, features in blocks(self._features, normalize=self._normalize):
      found = searcher.similarities(queries, features, normalize=self._normalize)
      found = searcher.without(found, exclude, slice(None), rows)
      for query in np.flatnonzero(found.max(axis=1) > values[:, -1]):
        _merge(ranking.rows[query], values[query], found[query], rows.start)
    for query, row in enumerate(ranking.rows.copy()):
      ranking.rows[query] = -1
      ranking.fill(query, row, values[query], min_similarity)
    return ranking


def blocks(features: np.ndarray, *, normalize: bool) -> Iterator[tuple[slice, np.ndarray]]:
  """Yields consecutive rows and their features as float32, checked and scaled.

  Args:
    features: float [n, d].
    normalize: Whether to scale features to unit length.

  Raises:
    UserError: A feature is not finite.
  """
  for start in range(0, len(features), ROWS_AT_ONCE):
    rows = slice(start, min(start + ROWS_AT_ONCE, len(features)))
    block = searcher.checked(features[rows], f"gallery (from row {start})")
    yield rows, l2_normalize(block) if normalize else block


def _merge(rows: np.ndarray, values: np.ndarray, found: np.ndarray, start: int) -> None:
  """Enters the best of a block into a query's list, in place; equal ones keep their order."""
  near = searcher.best(found, min(len(values), len(found)))
  joined = np.concatenate([values, found[near]])
  kept = np.argsort(-joined, kind="stable")[: len(values)]
  rows[:], values[:] = np.concatenate([rows, start + near])[kept], joined[kept]
