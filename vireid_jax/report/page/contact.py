"""Sheets of labelled pictures, written beside the page as PNG and SVG."""

import dataclasses

import numpy as np

from vireid_jax.report.page import figures

HEIGHT = 150  # of a tile's picture, in units of 1/100 inch
GAP, LABEL, TITLE = 8, 14, 18
LETTER = 4.6  # width, at the size of labels


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
) -> figures.Drawn | None:
  """Writes rows of tiles, each row under its title; None without a tile.

  Args:
    rows: Tiles of each row.
    titles: Title of each row.
    title: Title of the sheet.
    name: Words from which the file name is made.
    folder: Folder of the page's figures.
  """
  tiles = [tile for row in rows for tile in row]
  if not tiles:
    return None
  column = max(max(_width(tile), LETTER * len(tile.label)) for tile in tiles) + GAP
  width = max(column * max(map(len, rows)), LETTER * 1.3 * max(map(len, [title, *titles]))) + GAP
  line = HEIGHT + LABEL + TITLE + GAP
  height = line * len(rows) + TITLE + GAP
  with figures.style():
    # One pair of axes: a sheet of dozens of them takes seconds to place.
    figure = figures.Figure(figsize=(width / 100, height / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(GAP, TITLE, title, fontsize=9, weight="bold")
    for index, (row, words) in enumerate(zip(rows, titles, strict=True)):
      top = TITLE + GAP + index * line
      axes.text(GAP, top + TITLE - 4, words, fontsize=8)
      for place, tile in enumerate(row):
        _draw(axes, tile, GAP + place * column, top + TITLE + LABEL)
    axes.set(xlim=(0, width), ylim=(height, 0))
  return folder.save(figure, name, text=title)


def _width(tile: Tile) -> float:
  return HEIGHT * tile.picture.shape[1] / tile.picture.shape[0]


def _draw(axes, tile: Tile, left: float, top: float) -> None:
  from matplotlib.patches import Rectangle

  width = _width(tile)
  axes.text(left, top - 4, tile.label, fontsize=6, color=tile.color)
  axes.imshow(tile.picture, extent=(left, left + width, top + HEIGHT, top), aspect="auto")
  frame = {"fill": False, "edgecolor": tile.color, "linewidth": 1.5}
  axes.add_patch(Rectangle((left, top), width, HEIGHT, **frame))
