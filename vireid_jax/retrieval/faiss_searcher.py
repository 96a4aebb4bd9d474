"""Search with faiss: an approximate index finds candidates, and their features are compared."""

from collections.abc import Sequence

import numpy as np

from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.retrieval import searcher
from vireid_jax.retrieval.faiss_index import FaissIndex
from vireid_jax.retrieval.searcher import Labels, Ranking

LEAST_CANDIDATES = 100
CANDIDATES_PER_PLACE = 10


class FaissSearcher:
  """A gallery with a faiss index.

  The index only proposes candidates, from compressed features. Their similarities are computed
  from the features themselves, so that each listed similarity is exact, and a list lacks a picture
  only if the index missed it.
  """

  def __init__(self, features: np.ndarray, index: FaissIndex, *, normalize: bool = True):
    """Takes a gallery and its index.

    Args:
      features: float [n, d], in memory or mapped; a query reads only its candidates.
      index: Index of these features, scaled to unit length if `normalize`.
      normalize: As in `Searcher`.
    """
    self._features, self._index, self._normalize = features, index, normalize

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
    """Ranks the candidates for each query; see `Searcher.__call__`."""
    queries = searcher.prepared(queries, self._features.shape[1], normalize=self._normalize)
    ranking = searcher.empty(len(queries), searcher.list_length(top, len(self)))
    count = min(max(CANDIDATES_PER_PLACE * top, LEAST_CANDIDATES), len(self))
    for query, rows in enumerate(self._candidates(queries, count, exclude)):
      rows = np.sort(rows[rows >= 0])  # faster from disk; and ties are in order of rows
      near = searcher.checked(self._features[rows], "gallery")
      near = l2_normalize(near) if self._normalize else near
      values = searcher.similarities(queries[[query]], near, normalize=self._normalize)[0]
      order = np.argsort(-values, kind="stable")[: ranking.rows.shape[1]]
      ranking.fill(query, rows[order], values[order], min_similarity)
    return ranking

  def _candidates(self, queries: np.ndarray, count: int, exclude: Sequence[Labels]) -> np.ndarray:
    if not exclude:
      return self._index.candidates(queries, count)
    found = []
    for query in range(len(queries)):
      one = slice(query, query + 1)
      allowed = searcher.without(np.zeros((1, len(self)), np.float32), exclude, one)[0] == 0
      found.append(self._index.candidates(queries[one], count, allowed)[0])
    return np.stack(found) if found else np.empty((0, count), np.int64)
