"""The images that a protocol compares in one trial of a setting."""

import dataclasses

import numpy as np

from vireid_jax.common.records import Records
from vireid_jax.evaluators import ranking
from vireid_jax.evaluators.query_scores import QueryScores
from vireid_jax.evaluators.similarity import similarity_matrix


@dataclasses.dataclass(frozen=True)
class Comparison:
  """The queries and the gallery of one trial.

  Attributes:
    queries: int [q], rows of the records.
    gallery: int [g], rows of the records.
    exclude: bool [q, g], gallery images to leave out of each query's list; None for none.
    unique_identities: Whether CMC counts identities instead of images.
  """

  queries: np.ndarray
  gallery: np.ndarray
  exclude: np.ndarray | None
  unique_identities: bool

  def of_queries(self, rows: np.ndarray) -> "Comparison":
    """Returns the comparison of some queries, int [r], positions in `queries`."""
    exclude = None if self.exclude is None else self.exclude[rows]
    return dataclasses.replace(self, queries=self.queries[rows], exclude=exclude)

  def similarity(self, features: np.ndarray, *, normalize: bool = True) -> np.ndarray:
    """Returns similarities float [q, g] from the features [n, d] of all records."""
    sides = (features[self.queries], features[self.gallery])
    return similarity_matrix(*sides, normalize=normalize)

  def scores(self, similarity: np.ndarray, records: Records, *, columns=None) -> QueryScores:
    """Scores each query's list.

    Args:
      similarity: float [q, m].
      records: Records of the split.
      columns: int [g], column of each gallery image; None if the columns are the gallery.
    """
    return ranking.score_queries(
      similarity,
      records.identity[self.queries],
      records.identity[self.gallery],
      columns=columns,
      exclude=self.exclude,
      unique_identities=self.unique_identities,
    )

  def ranked(self, similarity: np.ndarray, query: int) -> np.ndarray:
    """Ranks the gallery for one query, closest first; ties keep the order of the gallery.

    Args:
      similarity: float [q, g].
      query: Position in `queries`.

    Returns:
      int [k], positions in `gallery`, without excluded images.
    """
    order = np.argsort(-similarity[query], kind="stable")
    return order if self.exclude is None else order[~self.exclude[query, order]]
