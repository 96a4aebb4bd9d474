"""Multi-spectral re-ranking: k-reciprocal encoding of every image in several versions.

A visible image has four versions: itself, and each of its channels replicated to all three. All of
them are encoded together, and the distances of two images' versions are averaged.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from vireid_jax.evaluators import checks
from vireid_jax.evaluators.reranking import rerank
from vireid_jax.evaluators.similarity import similarity_matrix

CHANNELS = range(3)
VERSIONS = 1 + len(CHANNELS)


@dataclasses.dataclass(frozen=True)
class MultiSpectral:
  """Options of multi-spectral re-ranking; see `multi_spectral_distance`."""

  name: ClassVar[str] = "mser"
  cosine: ClassVar[bool] = True  # also where plain results compare raw features

  k1: int = 40
  k2: int = 20
  lambda_value: float = 0.3

  def __post_init__(self):
    checks.count("k1 of the multi-spectral re-ranking", self.k1)
    checks.count("k2 of the multi-spectral re-ranking", self.k2)
    checks.share("lambda_value of the multi-spectral re-ranking", self.lambda_value)

  def of_setting(self, conditions: Mapping) -> "MultiSpectral":
    """Returns the options, which are the same for every setting."""
    del conditions
    return self

  def ranker(self, query, *, normalize: bool) -> "MultiSpectralRanker":
    """Returns a ranker for some queries, float [q, 4 d], from `joined`."""
    del normalize  # always, as published
    return MultiSpectralRanker(self, query)


class MultiSpectralRanker:
  """Ranks several galleries for the same queries."""

  def __init__(self, options: MultiSpectral, query):
    """Keeps the queries, float [q, 4 d], from `joined`."""
    self._options, self._query = options, split(query)

  def similarity(self, gallery, similarity) -> np.ndarray:
    """Returns float [q, g], the negative `multi_spectral_distance`.

    Args:
      gallery: float [g, 4 d], from `joined`.
      similarity: float [q, g], plain similarity.
    """
    if not len(self._query[0]) or not len(gallery):
      return np.asarray(similarity)  # nothing to rank; the caller reports it
    options = dataclasses.asdict(self._options)
    return -multi_spectral_distance(self._query, split(gallery), **options)


def multi_spectral_distance(
  query: Sequence[np.ndarray],
  gallery: Sequence[np.ndarray],
  *,
  k1: int = 40,
  k2: int = 20,
  lambda_value: float = 0.3,
) -> np.ndarray:
  """Averages the k-reciprocal distances of all versions of two images.

  All versions of queries and gallery are encoded together as in `reranking.rerank`, with two
  differences: sets of reciprocal neighbours are not expanded, and neighbours are looked up among
  the versions of the queries only.

  Args:
    query: float [q, d] for each version of the queries; L2-normalised here.
    gallery: float [g, d] for each version of the gallery; likewise.
    k1: Size of the neighbourhoods, counted in versions.
    k2: Number of neighbours over which an encoding is averaged.
    lambda_value: Weight of the original distance, in [0, 1].

  Returns:
    float [q, g], smaller is closer.

  Raises:
    UserError: A parameter is out of range, or a feature is not finite.

  Reference:
    Liang et al., "Bridging the Gap: Multi-Level Cross-Modality Joint Alignment for
    Visible-Infrared Person Re-Identification", TCSVT 2024, section III-D, and its published code.
  """
  images = np.concatenate([*query, *gallery])
  distances = 2 - 2 * similarity_matrix(images, images)
  distances = np.maximum(distances, 0, out=distances)
  np.fill_diagonal(distances, 0)
  found = rerank(
    distances,
    len(query) * len(query[0]),
    k1=k1,
    k2=k2,
    lambda_value=lambda_value,
    query_only=True,
    expand=False,
  )
  by_version = found.reshape(len(query), len(query[0]), len(gallery), len(gallery[0]))
  return by_version.mean(axis=(0, 2))


def one_channel(name: str, image: np.ndarray, *, channel: int) -> np.ndarray:
  """Replicates a channel of an image uint8 [h, w, 3] to all three; the name is not used."""
  del name
  return np.repeat(image[..., channel : channel + 1], 3, axis=-1)


def changes() -> list:
  """Returns the change of a visible image for each version but the image itself."""
  return [functools.partial(one_channel, channel=channel) for channel in CHANNELS]


def joined(versions: Sequence[np.ndarray]) -> np.ndarray:
  """Concatenates the features [n, d] of the versions: float [n, 4 d]."""
  return np.concatenate(versions, axis=1)


def split(features) -> list[np.ndarray]:
  """Returns the features [n, d] of each version from `joined`.

  Images whose versions are all equal, as those of infrared images are, have one version.
  """
  versions = np.split(np.asarray(features), VERSIONS, axis=1)
  has_several = any((version != versions[0]).any() for version in versions)
  return versions if has_several else versions[:1]
