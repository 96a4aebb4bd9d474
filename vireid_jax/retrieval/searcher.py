"""Exact search among features in memory."""

import dataclasses

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.similarity import l2_normalize

QUERIES_AT_ONCE = 64  # limits the memory for similarities


@dataclasses.dataclass(frozen=True)
class Ranking:
  """Ranked lists, best first.

  Attributes:
    rows: int64 [q, k], rows of the gallery.
    similarity: float32 [q, k], larger is closer.
  """

  rows: np.ndarray
  similarity: np.ndarray


class Searcher:
  """A gallery that is checked and normalised once, so that a query costs one matrix product."""

  def __init__(self, features: np.ndarray, *, normalize: bool = True):
    """Prepares the gallery.

    Args:
      features: float [n, d], n at least 1.
      normalize: Whether to rank by cosine similarity; otherwise by the negative squared Euclidean
        distance of the raw features. Both rank like an evaluation with the same setting.

    Raises:
      UserError: The shape is wrong, or a feature is not finite.
    """
    features = _checked(features, "gallery")
    if not len(features):
      raise UserError("the gallery is empty; there is nothing to rank")
    self._normalize = normalize
    self._features = l2_normalize(features) if normalize else features
    self._squares = None if normalize else np.einsum("nd,nd->n", features, features)

  def __len__(self) -> int:
    return len(self._features)

  def __call__(self, queries: np.ndarray, *, top: int = 10) -> Ranking:
    """Ranks the gallery for each query; ties are in order of rows.

    Args:
      queries: float [q, d], or [d] for a single query.
      top: Length of the lists; shorter if the gallery is smaller.

    Raises:
      UserError: The width differs from the gallery's, or a feature is not finite.
    """
    if top < 1:
      raise UserError(f"top is {top}; it must be at least 1")
    queries = _checked(np.atleast_2d(queries), "query")
    if queries.shape[1] != self._features.shape[1]:
      raise UserError(
        f"the queries have {queries.shape[1]} dimensions and the gallery {self._features.shape[1]};"
        " both must come from one checkpoint"
      )
    queries = l2_normalize(queries) if self._normalize else queries
    top = min(top, len(self))
    rows, similarity = np.empty((len(queries), top), np.int64), np.empty((len(queries), top))
    for start in range(0, len(queries), QUERIES_AT_ONCE):
      block = slice(start, start + QUERIES_AT_ONCE)
      for row, values in enumerate(self._similarities(queries[block]), start):
        rows[row] = best(values, top)
        similarity[row] = values[rows[row]]
    return Ranking(rows, similarity.astype(np.float32))

  def _similarities(self, queries: np.ndarray) -> np.ndarray:
    product = queries @ self._features.T
    if self._normalize:
      return product
    squares = np.einsum("qd,qd->q", queries, queries)
    return 2 * product - squares[:, None] - self._squares


def best(values: np.ndarray, top: int) -> np.ndarray:
  """Returns the positions of the `top` largest `values` [n], descending; ties keep their order."""
  border = np.partition(values, len(values) - top)[len(values) - top]
  kept = np.flatnonzero(values >= border)
  return kept[np.argsort(-values[kept], kind="stable")[:top]]


def _checked(features: np.ndarray, role: str) -> np.ndarray:
  features = np.asarray(features, np.float32)
  if features.ndim != 2:
    raise UserError(f"the {role} has shape {features.shape}; expected features [n, dimensions]")
  broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
  if len(broken):
    raise UserError(
      f"{len(broken)} of {len(features)} {role} features hold NaN or infinite values (first: row "
      f"{broken[0]}); the network has probably diverged. Use an earlier checkpoint"
    )
  return features
