"""Where the pedestrian is in an image: weights in [0, 1] per pixel, 0 for sure background.

A region is float32 [b, h, w]. Its box is the smallest one that holds every weight above zero.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

SOURCES = ("prior", "mask", "cam")

# A detector's box fits the pedestrian: almost the whole height, the middle of the width.
PRIOR_ROWS = (0.03, 0.97)
PRIOR_COLUMNS = (0.15, 0.85)
# |x|^4 + |y|^4: an ellipse of a higher order keeps head and feet, which a circle's would cut off.
PRIOR_ORDER = 4
PRIOR_SOFTNESS = 0.25
MASK_THRESHOLD = 128


def prior(height: int, width: int) -> np.ndarray:
  """Returns where pedestrians usually are in a detector's box.

  1 in the middle of rows 3-97 % and columns 15-85 %, falling to 0 along ellipses of fourth order
  over the outer quarter; exactly 0 outside the box.

  Args:
    height, width: of the images.

  Returns:
    float32 [h, w].
  """
  y = _normalised(height, *PRIOR_ROWS)[:, None]
  x = _normalised(width, *PRIOR_COLUMNS)[None, :]
  radius = (np.abs(y) ** PRIOR_ORDER + np.abs(x) ** PRIOR_ORDER) ** (1 / PRIOR_ORDER)
  return np.clip((1 - radius) / PRIOR_SOFTNESS, 0, 1).astype(np.float32)


def _normalised(length: int, low: float, high: float) -> np.ndarray:
  """Pixel centres in units of the box: -1 at its lower edge, 1 at its upper one."""
  position = (np.arange(length) + 0.5) / length
  return (position - (low + high) / 2) / ((high - low) / 2)


def from_masks(masks: Array) -> Array:
  """Thresholds uint8 masks [b, h, w, 1] at 128: float32 [b, h, w] of zeros and ones."""
  return (masks[..., 0] >= MASK_THRESHOLD).astype(jnp.float32)


def from_energy(energy: Array, height: int, width: int) -> Array:
  """Thresholds each image's activation map at its mean.

  Args:
    energy: float [b, h', w'], not negative, such as the mean square over channels.
    height, width: of the images; the map is resized to them first, so that the border is smooth.

  Returns:
    float32 [b, h, w] of zeros and ones; all zeros where the energy is the same everywhere.
  """
  shape = (energy.shape[0], height, width)
  full = jax.image.resize(energy.astype(jnp.float32), shape, "bilinear", antialias=False)
  # The mean of equal numbers may be rounded below them.
  threshold = jnp.mean(full, axis=(1, 2), keepdims=True) * (1 + 1e-5)
  return (full > threshold).astype(jnp.float32)


def box(region: Array) -> tuple[Array, Array, Array, Array]:
  """Returns (top, bottom, left, right) of a region [h, w], float32, the ends exclusive.

  An empty region has the whole image for a box.
  """
  rows, columns = jnp.any(region > 0, axis=1), jnp.any(region > 0, axis=0)
  return (*_extent(rows), *_extent(columns))


def _extent(occupied: Array) -> tuple[Array, Array]:
  length = occupied.shape[0]
  first, last = jnp.argmax(occupied), length - jnp.argmax(occupied[::-1])
  return first.astype(jnp.float32), last.astype(jnp.float32)
