"""Contact sheet of all corruptions."""

import numpy as np

from vireid_jax.common.picture_grid import GAP, picture_grid
from vireid_jax.data.corruptions import KINDS, SEVERITIES, corrupt
from vireid_jax.report.sheets.labels import strip

COLUMNS = 10
NARROWEST = 80  # pixels of a column, so that its label can be read; small images are enlarged
HEAD, SIDE = 32, 72  # pixels: height of the labels above, width of those on the left
ROWS = ("original", *(f"severity {severity}" for severity in SEVERITIES))


def contact_sheet(image: np.ndarray, seed: int = 0) -> np.ndarray:
  """Arranges all kinds side by side, with the image on top and severities from 1 to 5 below.

  Args:
    image: uint8 [h, w, 3].
    seed: Seed of the corruption.

  Returns:
    uint8 [2 * (32 + 6 * (n * h + 2)), 72 + 10 * (n * w + 2), 3]: n is the whole number by which an
    image of less than 80 columns is enlarged. Each column has its kind above it, each row its
    severity on the left.
  """
  names = list(KINDS)
  return np.vstack(
    [_block(image, names[start : start + COLUMNS], seed) for start in range(0, len(names), COLUMNS)]
  )


def _block(image: np.ndarray, kinds: list[str], seed: int) -> np.ndarray:
  scale = -(-NARROWEST // image.shape[1])
  columns = [[_enlarged(each, scale) for each in _column(image, kind, seed)] for kind in kinds]
  height, width = (length * scale + GAP for length in image.shape[:2])
  above = np.hstack([strip("", SIDE, HEAD), *(strip(kind, width, HEAD) for kind in kinds)])
  side = np.vstack([strip(row, SIDE, height) for row in ROWS])
  return np.vstack([above, np.hstack([side, picture_grid(zip(*columns, strict=True))])])


def _enlarged(image: np.ndarray, scale: int) -> np.ndarray:
  return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _column(image: np.ndarray, kind: str, seed: int) -> list[np.ndarray]:
  return [
    image,
    *(
      corrupt(image, kind, severity, np.random.default_rng((seed, severity)))
      for severity in SEVERITIES
    ),
  ]
