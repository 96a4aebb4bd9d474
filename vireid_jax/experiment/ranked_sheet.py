"""Ranked lists of an evaluation as one picture, for TensorBoard and Weights & Biases."""

from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from vireid_jax.common.picture_grid import picture_grid
from vireid_jax.common.records import Records
from vireid_jax.data.prepared import cache
from vireid_jax.data.prepared.source import ImageSet
from vireid_jax.evaluators.protocols.comparison import Comparison

QUERIES = 8  # rows of the sheet, a query each
SHOWN = 10  # gallery images per row
HEIGHT = 96  # maximum height of an image, in pixels
FRAME = 3  # pixels
QUERY, RIGHT, WRONG = (110, 110, 110), (26, 127, 55), (207, 34, 46)  # RGB


def one_per_modality(
  comparisons: Mapping[str, Comparison], records: Records
) -> dict[str, Comparison]:
  """Returns the first setting of each modality of queries."""
  first: dict[int, str] = {}
  for name, comparison in comparisons.items():
    first.setdefault(int(records.modality[comparison.queries[0]]), name)
  return {name: comparisons[name] for name in first.values()}


def draw(
  comparison: Comparison, features: np.ndarray, images: ImageSet, config: ConfigDict
) -> np.ndarray:
  """Draws the lists of some queries, the same at every step.

  Args:
    comparison: Queries and gallery.
    features: float [n, d], one row per image.
    images: The n test images.
    config: Config of the evaluation.

  Returns:
    uint8 [h, w, 3]: a row per query. The query is on the left, framed in grey; the gallery's images
    are framed in green if they show its identity, else in red.
  """
  identity = images.records.identity
  queries = _spread(identity[comparison.queries])
  some = comparison.of_queries(queries)
  similarity = some.similarity(features, normalize=config.eval.normalize)
  lists = [some.gallery[some.ranked(similarity, row)[:SHOWN]] for row in range(len(queries))]
  rows = np.unique(np.concatenate([some.queries, *lists]))
  size, resize = tuple(config.data.image_size), config.data.resize
  small = dict(zip(rows, map(_shrink, cache.fill(images.take(rows), size, resize)), strict=True))
  blank = np.full_like(_framed(small[rows[0]], QUERY), 255)

  def line(query: int, found: np.ndarray) -> list[np.ndarray]:
    same = identity[found] == identity[query]
    framed = [
      _framed(small[row], RIGHT if right else WRONG) for row, right in zip(found, same, strict=True)
    ]
    return [_framed(small[query], QUERY), *framed, *[blank] * (SHOWN - len(framed))]

  return picture_grid(line(query, found) for query, found in zip(some.queries, lists, strict=True))


def _spread(identities: np.ndarray) -> np.ndarray:
  """Returns the positions of the first queries of at most `QUERIES` identities, evenly spaced."""
  _, first = np.unique(identities, return_index=True)
  return first[np.linspace(0, len(first) - 1, min(QUERIES, len(first))).round().astype(int)]


def _shrink(pixels: np.ndarray) -> np.ndarray:
  image = Image.fromarray(pixels)
  scale = min(1, HEIGHT / image.height)
  size = (max(1, round(scale * image.width)), round(scale * image.height))
  return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def _framed(pixels: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
  height, width, _ = pixels.shape
  framed = np.empty((height + 2 * FRAME, width + 2 * FRAME, 3), np.uint8)
  framed[:] = color
  framed[FRAME:-FRAME, FRAME:-FRAME] = pixels
  return framed
