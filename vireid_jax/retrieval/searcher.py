"""Exact search among features in memory."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.similarity import l2_normalize

QUERIES_AT_ONCE = 64  # limits the memory for similarities


@dataclasses.dataclass(frozen=True)
class Ranking:
  """Ranked lists, best first.

  Attributes:
    rows: int64 [q, k], rows of the gallery; -1 after the end of a shorter list.
    similarity: float32 [q, k], larger is closer; NaN after the end of a shorter list.
  """

  rows: np.ndarray
  similarity: np.ndarray

  def lists(self) -> list[list[tuple[int, float]]]:
    """Returns (row, similarity) of each query's list, without the padding."""
    return [
      [(int(row), float(value)) for row, value in zip(rows, values, strict=True) if row >= 0]
      for rows, values in zip(self.rows, self.similarity, strict=True)
    ]


@dataclasses.dataclass(frozen=True)
class Labels:
  """One label per picture; a query's list leaves out pictures with the query's label.

  Attributes:
    queries: int64 [q]; -1 is no label.
    gallery: int64 [n]; -1 is no label.
  """

  queries: np.ndarray
  gallery: np.ndarray


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

  def __call__(
    self,
    queries: np.ndarray,
    *,
    top: int = 10,
    exclude: Sequence[Labels] = (),
    min_similarity: float = -np.inf,
  ) -> Ranking:
    """Ranks the gallery for each query; ties are in order of rows.

    Args:
      queries: float [q, d], or [d] for a single query.
      top: Length of the lists; shorter if the gallery is smaller.
      exclude: A picture is left out if it has the query's label in any of these.
      min_similarity: Least similarity of a listed picture.

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
    rows = np.full((len(queries), top), -1, np.int64)
    similarity = np.full((len(queries), top), np.nan, np.float32)
    for start in range(0, len(queries), QUERIES_AT_ONCE):
      block = slice(start, start + QUERIES_AT_ONCE)
      found = _without(self._similarities(queries[block]), exclude, block)
      for row, values in enumerate(found, start):
        kept = best(values, top)
        kept = kept[(values[kept] >= min_similarity) & (values[kept] > -np.inf)]
        rows[row, : len(kept)], similarity[row, : len(kept)] = kept, values[kept]
    return Ranking(rows, similarity)

  def _similarities(self, queries: np.ndarray) -> np.ndarray:
    product = queries @ self._features.T
    if self._normalize:
      return product
    squares = np.einsum("qd,qd->q", queries, queries)
    return 2 * product - squares[:, None] - self._squares


def _without(similarity: np.ndarray, exclude: Sequence[Labels], block: slice) -> np.ndarray:
  """Returns similarities [b, n] of a block of queries, -inf where a picture is left out."""
  for labels in exclude:
    queries = labels.queries[block, None]
    similarity[(queries == labels.gallery) & (queries >= 0)] = -np.inf
  return similarity


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
