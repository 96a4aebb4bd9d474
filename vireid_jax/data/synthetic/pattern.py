"""Paints the pattern of a garment onto the index map."""

import numpy as np

from vireid_jax.data.synthetic.appearance import FAR, Pattern
from vireid_jax.data.synthetic.pen import Pen


def apply_pattern(canvas: np.ndarray, pen: Pen, pattern: Pattern, material: int, body) -> None:
  """Changes some of a garment's pixels to its second material (the next number).

  Args:
    canvas: uint8 [h, w], index map of material numbers, changed in place.
    pen: Projection of the person; patterns move and scale with the body.
    pattern: Pattern to paint.
    material: Material number of the garment.
    body: Joints, for patterns that split a garment.
  """
  if pattern.kind in ("plain", "logo"):
    return
  base = canvas - np.uint8(pen.offset)
  garment = (base & np.uint8(0xFF ^ FAR)) == material
  rows, columns = np.flatnonzero(garment.any(1)), np.flatnonzero(garment.any(0))
  if not rows.size:
    return
  box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
  view = pen.view
  down = (np.arange(rows[0], rows[-1] + 1, dtype=np.float32)[:, None] - view.top) / view.height
  across = (np.arange(columns[0], columns[-1] + 1, dtype=np.float32) - view.centre) / view.height
  chosen = _second(pattern, across[None], down, body) & garment[box]
  canvas[box] += chosen.astype(np.uint8)


def _second(pattern: Pattern, across: np.ndarray, down: np.ndarray, body) -> np.ndarray:
  """Returns where the second colour is, bool, broadcastable to the box."""
  rings = (down / pattern.period + pattern.phase) % 1.0
  bars = (across / pattern.period + pattern.phase) % 1.0
  share = pattern.share
  if pattern.kind == "rings":
    return rings < share
  if pattern.kind == "bars":
    return bars < share
  if pattern.kind == "checks":
    return (rings < 0.5) ^ (bars < 0.5)
  if pattern.kind == "dots":
    return (rings - 0.5) ** 2 + (bars - 0.5) ** 2 < 0.3 * share
  if pattern.kind == "diagonal":
    return ((across + down) / (1.4 * pattern.period) + pattern.phase) % 1.0 < share
  # A block: everything below a line somewhere in the middle of the torso.
  return down > body.shoulder + (0.3 + 0.5 * pattern.phase) * (body.hip - body.shoulder)
