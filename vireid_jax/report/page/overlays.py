"""Queries and their matches, overlaid with maps of where the network looks."""

import dataclasses

import numpy as np
from PIL import Image

from vireid_jax.common.records import MODALITIES
from vireid_jax.data.prepared import cache
from vireid_jax.report.page import contact, figures, ranked, relevance, thumbnails
from vireid_jax.report.page.network import Embedded
from vireid_jax.report.page.ranked import RankedList

EACH = 3  # pairs from the best and the worst queries each
HEIGHT = 144  # of a tile, in pixels
OPACITY = 0.55
COLORS = "inferno"


@dataclasses.dataclass(frozen=True)
class Looked:
  """An image and its maps.

  Attributes:
    row: Row of the records.
    role: 'query' or 'match'.
    tiles: uint8 [h, w, 3] by name; the image itself comes first.
    inside: Share in [0, 1] of each map inside the silhouette; empty without a mask.
    area: Share in [0, 1] of the image that the silhouette covers; None without a mask.
  """

  row: int
  role: str
  tiles: dict[str, np.ndarray]
  inside: dict[str, float]
  area: float | None


@dataclasses.dataclass(frozen=True)
class Pair:
  """A query and its first match.

  Attributes:
    title: Title on the page.
    looked: The query and the match.
  """

  title: str
  looked: tuple[Looked, Looked]


def pairs(embedded: Embedded, best: list[RankedList], worst: list[RankedList]) -> list[Pair]:
  """Computes the maps of some queries and their first matches."""
  chosen = [("best", item) for item in best[:EACH]] + [("worst", item) for item in worst[:EACH]]
  if not chosen:
    return []
  rows = np.array([row for _, item in chosen for row in (item.query, item.first_match.row)])
  partners = rows.reshape(-1, 2)[:, ::-1].ravel()
  drawn = _tiles(embedded, rows, partners)
  found = []
  for index, (end, item) in enumerate(chosen):
    looked = tuple(
      Looked(int(rows[2 * index + side]), role, *drawn[2 * index + side])
      for side, role in enumerate(("query", "match"))
    )
    words = f"identity {embedded.records.identity[item.query]}, among the {end} queries"
    found.append(Pair(f"{words}; match at rank {item.first_match.rank}", looked))
  return found


def _tiles(embedded: Embedded, rows: np.ndarray, partners: np.ndarray) -> list[tuple]:
  """Returns the tiles, shares inside and area of each row, as in `Looked`.

  Grad-CAM explains a row's similarity to its partner.
  """
  drawn: list[tuple] = [()] * len(rows)
  masks = _masks(embedded, rows)
  for side, modality in enumerate(MODALITIES):
    mine = np.flatnonzero(embedded.records.modality[rows] == side)
    if not len(mine):
      continue
    pixels = embedded.pixels(rows[mine])
    found = relevance.maps(
      embedded.method,
      embedded.trained.variables,
      embedded.normalized(rows[mine], modality),
      modality,
      embedded.features[partners[mine]],
    )
    for position, index in enumerate(mine):
      maps = {name: values[position] for name, values in found.items()}
      tiles = {"image": np.asarray(_resized(Image.fromarray(pixels[position])))}
      tiles |= {name: overlay(pixels[position], values) for name, values in maps.items()}
      mask = None if masks is None else masks[index]
      inside = {} if mask is None else {name: share_inside(v, mask) for name, v in maps.items()}
      drawn[index] = (tiles, inside, None if mask is None else float(mask.mean()))
  return drawn


def _masks(embedded: Embedded, rows: np.ndarray) -> np.ndarray | None:
  """Returns the silhouettes float [m, h, w] in [0, 1]; None if the data set has none."""
  if embedded.images.masks is None:
    return None
  size = embedded.trained.image_size
  return cache.fill_masks(embedded.images.take(rows), size)[..., 0] / 255


def share_inside(values: np.ndarray, mask: np.ndarray) -> float:
  """Returns which share of a map, scaled from its minimum as drawn, is inside a silhouette.

  Args:
    values: float [h', w'].
    mask: float [h, w] in [0, 1].

  Returns:
    Number in [0, 1]; NaN for a map without differences. A map that ignores the person has the
    silhouette's share of the image.
  """
  scaled = Image.fromarray((values - values.min()).astype(np.float32))
  heat = np.asarray(scaled.resize(mask.shape[::-1], Image.Resampling.BILINEAR))
  return float((heat * mask).sum() / heat.sum()) if heat.sum() > 0 else float("nan")


def inside(found: list[Pair]) -> list[tuple[str, float, float]]:
  """Returns (map, mean share inside the silhouette, mean area of the silhouette) for each map."""
  looked = [item for pair in found for item in pair.looked if item.area is not None]
  names = dict.fromkeys(name for item in looked for name in item.inside)
  lines = []
  for name in names:
    pairs = [(item.inside[name], item.area) for item in looked if name in item.inside]
    pairs = np.array([pair for pair in pairs if np.isfinite(pair[0])])
    lines += [(name, *map(float, pairs.mean(axis=0)))] if len(pairs) else []
  return lines


def overlay(image: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Overlays a map on an image.

  Args:
    image: uint8 [h, w, 3].
    values: float [h', w'], scaled from its own minimum to its own maximum.

  Returns:
    uint8 [144, w 144 / h, 3].
  """
  import matplotlib

  low, high = float(values.min()), float(values.max())
  scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
  picture = _resized(Image.fromarray(image))
  heat = Image.fromarray((255 * scaled).astype(np.uint8))
  heat = np.asarray(heat.resize(picture.size, Image.Resampling.BICUBIC))
  colored = matplotlib.colormaps[COLORS](heat)[..., :3] * 255
  gray = np.asarray(picture.convert("L"), np.float32)[..., None]
  return ((1 - OPACITY) * gray + OPACITY * colored).round().astype(np.uint8)


def _resized(image: Image.Image) -> Image.Image:
  size = (max(1, round(image.width * HEIGHT / image.height)), HEIGHT)
  return image.resize(size, Image.Resampling.BICUBIC)


def to_page(embedded: Embedded, pair: Pair) -> dict[str, object]:
  """Returns a pair as data for the template."""
  looked = []
  for item in pair.looked:
    tiles = [
      {
        "name": name,
        "source": thumbnails.of_pixels(tile),
        "inside": _finite(item.inside.get(name)),
      }
      for name, tile in item.tiles.items()
    ]
    said = ranked.describe(embedded, item.row)
    looked.append({**said, "role": item.role, "tiles": tiles})
  return {"title": pair.title, "looked": looked}


def _finite(share: float | None) -> float | None:
  return share if share is not None and np.isfinite(share) else None


def draw(label: str, embedded: Embedded, found: list[Pair], folder: figures.Folder) -> None:
  """Writes all pairs as a labelled sheet, a pair per row."""
  rows, titles = [], []
  for pair in found:
    titles.append(pair.title)
    rows.append(
      [
        contact.Tile(tile, f"{item.role}, {embedded.modality(item.row)}" if not index else name)
        for item in pair.looked
        for index, (name, tile) in enumerate(item.tiles.items())
      ]
    )
  title = f"{label}: where the network looks, in queries and their first matches"
  contact.save(rows, titles, title, f"attention {label}", folder)
