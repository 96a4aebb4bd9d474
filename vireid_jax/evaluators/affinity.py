"""Affinity inference: ranks a gallery by the neighbourhoods of queries and gallery images."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from vireid_jax.evaluators import checks
from vireid_jax.evaluators.reranking import nearest
from vireid_jax.evaluators.similarity import similarity_matrix

# (k1, k2) of the published code. Galleries with several images per identity take larger sets.
SINGLE_SHOT = {"all": (4, 1), "indoor": (2, 2)}
MULTI_SHOT = (20, 6)
OTHERWISE = (8, 2)  # RegDB's; no further protocol has published values
PROTOCOLS = ("sysu_mm01", "regdb")


@dataclasses.dataclass(frozen=True)
class Affinity:
  """Options of affinity inference; see `affinity_distance`.

  Attributes:
    k1: Number of affinities kept per image; 0 for the published number of the setting.
    k2: Number of gallery images over which affinities are averaged; 0 likewise.
    published: Whether k1 and k2 are the published numbers, which differ between the settings of a
      protocol; set by `of_setting`.
  """

  name: ClassVar[str] = "affinity"
  cosine: ClassVar[bool] = True  # also where plain results compare raw features

  k1: int = 0
  k2: int = 0
  published: bool = False

  def __post_init__(self):
    checks.count("k1 of the affinity inference", self.k1, least=0)
    checks.count("k2 of the affinity inference", self.k2, least=0)

  def of_setting(self, conditions: Mapping) -> "Affinity":
    """Returns the options with the published numbers for those that are 0."""
    k1, k2 = published(conditions)
    taken = not (self.k1 or self.k2) and conditions.get("protocol") in PROTOCOLS
    return Affinity(self.k1 or k1, self.k2 or k2, taken)

  def ranker(self, query, *, normalize: bool) -> "AffinityRanker":
    """Returns a ranker for some queries, float [q, d]."""
    del query, normalize  # cosine similarities are all that is needed
    return AffinityRanker(self)


class AffinityRanker:
  """Ranks galleries by affinity inference."""

  def __init__(self, options: Affinity):
    """Keeps the options, with k1 and k2 of at least 1."""
    self._options = options

  def similarity(self, gallery, similarity) -> np.ndarray:
    """Returns float [q, g], the negative `affinity_distance`.

    Args:
      gallery: float [g, d].
      similarity: float [q, g], cosine similarities of queries and gallery.
    """
    if not len(similarity) or not len(gallery):
      return np.asarray(similarity)  # nothing to rank; the caller reports it
    among_gallery = similarity_matrix(gallery, gallery)
    return -_distance(similarity, among_gallery, self._options.k1, self._options.k2)


def published(conditions: Mapping) -> tuple[int, int]:
  """Returns k1 and k2 of the published code for a setting.

  Args:
    conditions: Conditions of the setting: `protocol`, `mode`, `shots`.

  Returns:
    SYSU-MM01: (4, 1) for all-search and (2, 2) for indoor-search single-shot, (20, 6) multi-shot.
    RegDB: (8, 2), which also stands for protocols without published numbers.
  """
  if conditions.get("protocol") != "sysu_mm01":
    return OTHERWISE
  return SINGLE_SHOT[conditions["mode"]] if conditions["shots"] == 1 else MULTI_SHOT


def affinity_distance(query, gallery, *, k1: int, k2: int) -> np.ndarray:
  """Combines the cosine similarity of two images with that of their affinities to the gallery.

  A query's result depends on the whole gallery, but not on other queries.

  Args:
    query: float [q, d]; float64 is kept, other types are computed in float32. Lengths are ignored.
    gallery: float [g, d].
    k1: Number of affinities kept per image, the largest; the others count as 0.
    k2: Number of nearest gallery images, itself included, over which a gallery image's affinities
      are averaged.

  Returns:
    float [q, g] in [-2, 2], smaller is closer: -a_q . a_g - q . g, with rows a of unit length.

  Raises:
    UserError: k1 or k2 is out of range, or a feature is not finite.

  Reference: Fang, Yang, Fu, "Visible-Infrared Person Re-Identification via Semantic Alignment and
  Affinity Inference", ICCV 2023, section 3.4.
  """
  checks.count("k1 of the affinity inference", k1)
  checks.count("k2 of the affinity inference", k2)
  similarity = similarity_matrix(query, gallery)
  return _distance(similarity, similarity_matrix(gallery, gallery), k1, k2)


def _distance(similarity, among_gallery, k1: int, k2: int) -> np.ndarray:
  """Returns float [q, g] from similarities [q, g] and [g, g].

  Affinities are sparse: k1 per query, at most k1 * k2 per gallery image.
  """
  size = len(among_gallery)
  near = nearest(-among_gallery, max(k1, k2), size)
  averaged = near[:, :k2]
  mean = _sparse(averaged, np.full(averaged.shape, 1 / averaged.shape[1], similarity.dtype), size)
  gallery = mean @ _kept(among_gallery, near[:, :k1])
  query = _kept(similarity, nearest(-similarity, k1, size))
  return -(_unit_rows(query) @ _unit_rows(gallery).T).toarray() - similarity


def _kept(similarity, columns):
  """Returns sparse [n, g] with some columns of each row."""
  return _sparse(columns, np.take_along_axis(similarity, columns, axis=1), similarity.shape[1])


def _sparse(columns, values, width: int):
  """Returns sparse [n, width] with values [n, k] in columns int [n, k] of each row."""
  import scipy.sparse

  rows, count = columns.shape
  ends = np.arange(0, rows * count + 1, count)
  return scipy.sparse.csr_array((values.ravel(), columns.ravel(), ends), shape=(rows, width))


def _unit_rows(matrix):
  """Scales each row of a sparse matrix to unit length; rows of zeros stay zero."""
  import scipy.sparse

  lengths = np.sqrt(matrix.power(2).sum(axis=1))
  scale = 1 / np.maximum(lengths, np.finfo(matrix.dtype).tiny)
  return scipy.sparse.diags_array(scale) @ matrix
