"""Contact sheet of all corruptions."""

import numpy as np

from vireid_jax.common.picture_grid import picture_grid
from vireid_jax.data.corruptions import KINDS, SEVERITIES, corrupt

COLUMNS = 10


def contact_sheet(image: np.ndarray, seed: int = 0) -> np.ndarray:
  """Arranges all kinds side by side, with the image on top and severities from 1 to 5 below.

  Args:
    image: uint8 [h, w, 3].
    seed: Seed of the corruption.

  Returns:
    uint8 [2 * 6 * (h + 2), 10 * (w + 2), 3].
  """
  names = list(KINDS)
  rows = []
  for start in range(0, len(names), COLUMNS):
    columns = [_column(image, kind, seed) for kind in names[start : start + COLUMNS]]
    rows.extend(zip(*columns, strict=True))
  return picture_grid(rows)


def _column(image: np.ndarray, kind: str, seed: int) -> list[np.ndarray]:
  return [
    image,
    *(
      corrupt(image, kind, severity, np.random.default_rng((seed, severity)))
      for severity in SEVERITIES
    ),
  ]
