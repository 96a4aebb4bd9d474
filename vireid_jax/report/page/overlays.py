"""Queries and their matches, overlaid with maps of where the network looks."""

import dataclasses

import numpy as np
from PIL import Image

from vireid_jax.common.records import MODALITIES
from vireid_jax.report.page import figures, ranked, relevance, thumbnails
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
  """

  row: int
  role: str
  tiles: dict[str, np.ndarray]


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
  tiles = _tiles(embedded, rows, partners)
  found = []
  for index, (end, item) in enumerate(chosen):
    looked = tuple(
      Looked(int(rows[2 * index + side]), role, tiles[2 * index + side])
      for side, role in enumerate(("query", "match"))
    )
    words = f"identity {embedded.records.identity[item.query]}, among the {end} queries"
    found.append(Pair(f"{words}; match at rank {item.first_match.rank}", looked))
  return found


def _tiles(embedded: Embedded, rows: np.ndarray, partners: np.ndarray) -> list[dict]:
  """Returns the tiles of each row; Grad-CAM explains its similarity to its partner."""
  tiles: list[dict] = [{} for _ in rows]
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
      image = pixels[position]
      tiles[index]["image"] = np.asarray(_resized(Image.fromarray(image)))
      for name, values in found.items():
        tiles[index][name] = overlay(image, values[position])
  return tiles


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
      {"name": name, "source": thumbnails.of_pixels(tile)} for name, tile in item.tiles.items()
    ]
    said = ranked.describe(embedded, item.row)
    looked.append({**said, "role": item.role, "tiles": tiles})
  return {"title": pair.title, "looked": looked}


def draw(label: str, found: list[Pair], folder: figures.Folder) -> figures.Drawn:
  """Draws all pairs, one image per row."""
  rows = [item for pair in found for item in pair.looked]
  names = list(dict.fromkeys(name for item in rows for name in item.tiles))
  with figures.style():
    figure, grid = figures.new(len(rows), len(names), size=(0.8 * len(names), 1.35 * len(rows)))
    for index, (line, item) in enumerate(zip(np.atleast_2d(grid), rows, strict=True)):
      for axis, name in zip(line, names, strict=True):
        axis.set_axis_off()
        if name in item.tiles:
          axis.imshow(item.tiles[name])
        if not index:
          axis.set_title(name.replace(" ", "\n", 1), fontsize=6)
  text = f"{label}: where the network looks, in queries and their first matches"
  return folder.save(figure, f"attention {label}", text=text, vector=False)
