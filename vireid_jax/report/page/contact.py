"""Sheets of labelled pictures, written beside the page as PNG and SVG."""

import dataclasses

import numpy as np
from PIL import Image

from vireid_jax.report.page import figures

HEIGHT = 150  # of a tile's picture, in units of 1/100 inch
GAP, LABEL, TITLE = 8, 14, 18
LETTER = 4.6  # width, at the size of labels
SHARPNESS = 2  # pixels of a picture per unit


@dataclasses.dataclass(frozen=True)
class Tile:
  """A picture with a label above it.

  Attributes:
    picture: uint8 [h, w, 3].
    label: Label.
    color: Colour of the label and the frame.
  """

  picture: np.ndarray
  label: str
  color: str = "black"


def save(
  rows: list[list[Tile]], titles: list[str], title: str, name: str, folder: figures.Folder
) -> None:
  """Writes rows of tiles, each row under its title; nothing without a tile.

  Args:
    rows: Tiles of each row.
    titles: Title of each row.
    title: Title of the sheet.
    name: Words from which the file name is made.
    folder: Folder of the page's figures.
  """
  tiles = [tile for row in rows for tile in row]
  if not tiles:
    return
  column = max(max(_width(tile), LETTER * len(tile.label)) for tile in tiles) + GAP
  width = max(column * max(map(len, rows)), LETTER * 1.3 * max(map(len, [title, *titles]))) + GAP
  line = HEIGHT + LABEL + TITLE + GAP
  height = line * len(rows) + TITLE + GAP
  placed = [
    (tile, GAP + place * column, TITLE + GAP + index * line + TITLE + LABEL)
    for index, row in enumerate(rows)
    for place, tile in enumerate(row)
  ]
  with figures.style():
    figure = figures.Figure(figsize=(width / 100, height / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(_paste(placed, width, height), extent=(0, width, height, 0), aspect="auto")
    axes.text(GAP, TITLE, title, fontsize=9, weight="bold")
    for index, words in enumerate(titles):
      axes.text(GAP, TITLE + GAP + index * line + TITLE - 4, words, fontsize=8)
    for tile, left, top in placed:
      _label(axes, tile, left, top)
    axes.set(xlim=(0, width), ylim=(height, 0))
  folder.write(figure, name)


def _width(tile: Tile) -> float:
  return HEIGHT * tile.picture.shape[1] / tile.picture.shape[0]


def _paste(placed: list[tuple[Tile, float, float]], width: float, height: float) -> np.ndarray:
  """Pastes all tiles on one sheet uint8 [h, w, 3]: drawn one by one they take ten times as long."""
  sheet = Image.new("RGB", (round(SHARPNESS * width), round(SHARPNESS * height)), "white")
  for tile, left, top in placed:
    size = (max(1, round(SHARPNESS * _width(tile))), SHARPNESS * HEIGHT)
    picture = Image.fromarray(tile.picture).resize(size, Image.Resampling.BICUBIC)
    sheet.paste(picture, (round(SHARPNESS * left), round(SHARPNESS * top)))
  return np.asarray(sheet)


def _label(axes, tile: Tile, left: float, top: float) -> None:
  from matplotlib.patches import Rectangle

  axes.text(left, top - 4, tile.label, fontsize=6, color=tile.color)
  frame = {"fill": False, "edgecolor": tile.color, "linewidth": 1.5}
  axes.add_patch(Rectangle((left, top), _width(tile), HEIGHT, **frame))
