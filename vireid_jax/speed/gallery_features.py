"""Artificial features with identities, written to disk block by block."""

import dataclasses
import functools
import pathlib
import shutil

import numpy as np

from vireid_jax.common import progress
from vireid_jax.common.errors import UserError

PICTURES = 20  # of each identity, consecutive
BLOCK = 10_000  # pictures
DIRECTIONS = 256  # of identities and of their pictures
DECAY = 0.5  # the standard deviation of direction k is k^-0.5
PICTURE, QUERY = (
  1.0,
  1.4,
)  # deviation of a picture from its identity, relative to that of identities
NOISE = 0.5  # relative length of noise in all dimensions


@dataclasses.dataclass(frozen=True)
class World:
  """Features of a gallery and of queries, of unit length.

  An identity is a point in `DIRECTIONS` directions of falling variance, as the features of trained
  networks have. Its pictures scatter around it, queries (of the other modality) more widely, and
  noise in all dimensions is added.

  Attributes:
    dimension: Length of a feature.
    seed: Seed of all draws.
  """

  dimension: int
  seed: int

  @functools.cached_property
  def directions(self) -> np.ndarray:
    """float32 [k, d], orthogonal, of the length of their standard deviation."""
    count = min(DIRECTIONS, self.dimension)
    drawn = np.random.default_rng([self.seed, 0]).standard_normal((self.dimension, count))
    scale = np.arange(1, count + 1) ** -DECAY
    return (np.linalg.qr(drawn)[0] * scale).T.astype(np.float32)

  def block(self, number: int, count: int) -> np.ndarray:
    """Returns the gallery's features [count, d] from row `number` x `BLOCK`, as float16."""
    random, centres = self._identities(number)
    centres = np.repeat(centres, PICTURES, axis=0)[:count]
    return self._features(random, centres, PICTURE).astype(np.float16)

  def queries(self, count: int, gallery: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws queries of identities at the start of the gallery.

    Args:
      count: Number of queries.
      gallery: Number of pictures in the smallest gallery.

    Returns:
      Queries, float32 [q, d], and the identity of each, int [q].
    """
    centres = self._identities(0)[1]
    random = np.random.default_rng([self.seed, 2])
    identity = random.integers(0, min(len(centres), -(-gallery // PICTURES)), count)
    return self._features(random, centres[identity], QUERY), identity

  def _identities(self, number: int) -> tuple[np.random.Generator, np.ndarray]:
    random = np.random.default_rng([self.seed, 1, number])
    shape = (BLOCK // PICTURES, len(self.directions))
    return random, random.standard_normal(shape, dtype=np.float32)

  def _features(self, random: np.random.Generator, centres: np.ndarray, scatter: float):
    drawn = scatter * random.standard_normal(centres.shape, dtype=np.float32)
    features = (centres + drawn) @ self.directions
    noise = random.standard_normal(features.shape, dtype=np.float32)
    noise *= NOISE * np.linalg.norm(self.directions) / np.sqrt(self.dimension)
    features += noise
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def identity_of(rows: np.ndarray) -> np.ndarray:
  """Returns the identity of gallery rows."""
  return rows // PICTURES


def write(path: pathlib.Path, world: World, count: int) -> np.memmap:
  """Writes the gallery's features, float16 [count, d], and maps the file.

  Raises:
    UserError: The disk has not enough space for them, and half as much for the indexes.
  """
  size = 2 * count * world.dimension
  free = shutil.disk_usage(path.parent).free
  if free < 1.5 * size:
    raise UserError(
      f"{path.parent} has {free / 1e9:.1f} GB free, and features and indexes of {count} "
      f"pictures need {1.5 * size / 1e9:.1f} GB; choose another --folder or a smaller --pictures"
    )
  with path.open("wb") as file, progress.part("drawing features", count, "picture") as activity:
    for start in range(0, count, BLOCK):
      rows = min(BLOCK, count - start)
      file.write(world.block(start // BLOCK, rows))
      activity.advance(rows)
  return np.memmap(path, np.float16, "r", shape=(count, world.dimension))
