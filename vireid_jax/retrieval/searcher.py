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

  def fill(self, query: int, rows, similarity, min_similarity: float) -> None:
    """Enters a query's list.

    Args:
      query: Position of the query.
      rows: int64 [m], rows of the gallery, best first.
      similarity: float32 [m]; -inf for pictures that are left out.
      min_similarity: Least similarity of a listed picture.
    """
    listed = (similarity >= min_similarity) & (similarity > -np.inf)
    count = np.count_nonzero(listed)
    self.rows[query, :count], self.similarity[query, :count] = rows[listed], similarity[listed]

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
    features = checked(features, "gallery")
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
    queries = prepared(queries, self._features.shape[1], normalize=self._normalize)
    ranking = empty(len(queries), list_length(top, len(self)))
    for start in range(0, len(queries), QUERIES_AT_ONCE):
      block = slice(start, start + QUERIES_AT_ONCE)
      found = similarities(
        queries[block], self._features, normalize=self._normalize, squares=self._squares
      )
      found = without(found, exclude, block)
      for row, values in enumerate(found, start):
        kept = best(values, ranking.rows.shape[1])
        ranking.fill(row, kept, values[kept], min_similarity)
    return ranking


def prepared(queries: np.ndarray, dimensions: int, *, normalize: bool) -> np.ndarray:
  """Checks queries.

  Args:
    queries: float [q, d], or [d] for a single query.
    dimensions: Dimensions of the gallery's features.
    normalize: Whether to scale them to unit length.

  Returns:
    float32 [q, d].

  Raises:
    UserError: The width differs from the gallery's, or a feature is not finite.
  """
  queries = checked(np.atleast_2d(queries), "query")
  if queries.shape[1] != dimensions:
    raise UserError(
      f"the queries have {queries.shape[1]} dimensions and the gallery {dimensions};"
      " both must come from one checkpoint"
    )
  return l2_normalize(queries) if normalize else queries


def list_length(top: int, gallery: int) -> int:
  """Returns the length of the lists: `top`, or the size of a smaller gallery."""
  if top < 1:
    raise UserError(f"top is {top}; it must be at least 1")
  return min(top, gallery)


def empty(queries: int, length: int) -> Ranking:
  """Returns empty lists, to be filled."""
  rows = np.full((queries, length), -1, np.int64)
  return Ranking(rows, np.full((queries, length), np.nan, np.float32))


def similarities(
  queries: np.ndarray,
  gallery: np.ndarray,
  *,
  normalize: bool,
  squares: np.ndarray | None = None,
) -> np.ndarray:
  """Compares prepared queries with prepared features.

  Args:
    queries: float32 [q, d].
    gallery: float32 [n, d].
    normalize: Whether they have unit length, so that their product is the cosine.
    squares: float32 [n], squared lengths of the gallery's features; computed if None.

  Returns:
    float32 [q, n], cosines, otherwise negative squared distances.
  """
  product = queries @ gallery.T
  if normalize:
    return product
  squares = np.einsum("nd,nd->n", gallery, gallery) if squares is None else squares
  return 2 * product - np.einsum("qd,qd->q", queries, queries)[:, None] - squares


def without(
  similarity: np.ndarray,
  exclude: Sequence[Labels],
  queries: slice,
  gallery: slice | np.ndarray = slice(None),
) -> np.ndarray:
  """Returns similarities of some queries to some of the gallery, -inf where one is left out."""
  for labels in exclude:
    label = labels.queries[queries, None]
    similarity[(label == labels.gallery[gallery]) & (label >= 0)] = -np.inf
  return similarity


def best(values: np.ndarray, top: int) -> np.ndarray:
  """Returns the positions of the `top` largest `values` [n], descending; ties keep their order."""
  border = np.partition(values, len(values) - top)[len(values) - top]
  kept = np.flatnonzero(values >= border)
  return kept[np.argsort(-values[kept], kind="stable")[:top]]


def checked(features: np.ndarray, role: str) -> np.ndarray:
  """Returns features as float32.

  Args:
    features: float [n, d].
    role: Whose features they are, for messages.

  Raises:
    UserError: The shape is wrong, or a feature is not finite.
  """
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
