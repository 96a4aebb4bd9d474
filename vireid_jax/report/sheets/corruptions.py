"""A picture of every corruption."""

import numpy as np

from vireid_jax.data.corruptions import KINDS, SEVERITIES, corrupt

COLUMNS = 10
GAP = 2  # pixels between pictures


def contact_sheet(image: np.ndarray, seed: int = 0) -> np.ndarray:
  """Lays all kinds side by side, severities below each other, the image itself on top.

  Args:
    image: uint8 [h, w, 3].
    seed: of the damage.

  Returns:
    uint8 [2 * 6 * (h + 2), 10 * (w + 2), 3].
  """
  names = list(KINDS)
  rows = [names[start : start + COLUMNS] for start in range(0, len(names), COLUMNS)]
  return np.vstack([np.hstack([_column(image, kind, seed) for kind in row]) for row in rows])


def _column(image, kind, seed):
  damaged = [
    corrupt(image, kind, severity, np.random.default_rng((seed, severity)))
    for severity in SEVERITIES
  ]
  frame = ((0, GAP), (0, GAP), (0, 0))
  return np.vstack([np.pad(each, frame, constant_values=255) for each in (image, *damaged)])
