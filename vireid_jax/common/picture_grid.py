"""Pictures arranged in a grid, with a white gap between them."""

from collections.abc import Iterable

import numpy as np

GAP = 2  # pixels to the right of each picture and below it


def picture_grid(rows: Iterable[Iterable[np.ndarray]]) -> np.ndarray:
  """Arranges pictures in a grid.

  Args:
    rows: Rows of pictures, uint8 [h, w, 3] each, of equal size and with as many in every row.

  Returns:
    uint8 [rows * (h + 2), columns * (w + 2), 3].
  """
  return np.vstack([np.hstack([_framed(picture) for picture in row]) for row in rows])


def _framed(picture: np.ndarray) -> np.ndarray:
  return np.pad(picture, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
