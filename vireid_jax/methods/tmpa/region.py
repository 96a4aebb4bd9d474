"""Pedestrian regions: a weight in [0, 1] per pixel, 0 for certain background.

A region is float32 [b, h, w]. Its box is the smallest one that contains all weights above zero.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

SOURCES = ("prior", "mask", "cam")

# In a detector's box the pedestrian fills almost the whole height, and the middle of the width.
PRIOR_ROWS = (0.03, 0.97)
PRIOR_COLUMNS = (0.15, 0.85)
# |x|^4 + |y|^4: a superellipse keeps head and feet, which an ellipse would cut off.
PRIOR_ORDER = 4
PRIOR_SOFTNESS = 0.25
MASK_THRESHOLD = 128


def prior(height: int, width: int) -> np.ndarray:
  """Returns the usual region of a pedestrian in a detector's box.

  It is 1 in the middle of rows 3-97 % and columns 15-85 %, falls to 0 along fourth-order
  superellipses over the outer quarter, and is exactly 0 outside the box.

  Args:
    height, width: Size of the images.

  Returns:
    float32 [h, w].
  """
  y = _normalised(height, *PRIOR_ROWS)[:, None]
  x = _normalised(width, *PRIOR_COLUMNS)[None, :]
  radius = (np.abs(y) ** PRIOR_ORDER + np.abs(x) ** PRIOR_ORDER) ** (1 / PRIOR_ORDER)
  return np.clip((1 - radius) / PRIOR_SOFTNESS, 0, 1).astype(np.float32)


def _normalised(length: int, low: float, high: float) -> np.ndarray:
  """Returns pixel centres in box coordinates: -1 at its lower edge, 1 at its upper edge."""
  position = (np.arange(length) + 0.5) / length
  return (position - (low + high) / 2) / ((high - low) / 2)


def from_masks(masks: Array) -> Array:
  """Thresholds uint8 masks [b, h, w, 1] at 128: float32 [b, h, w] of zeros and ones."""
  return (masks[..., 0] >= MASK_THRESHOLD).astype(jnp.float32)


def from_energy(energy: Array, height: int, width: int) -> Array:
  """Thresholds each image's activation map at its mean.

  Args:
    energy: float [b, h', w'], non-negative, such as the mean square over channels.
    height, width: Size of the images; the map is first resized to it, so that borders are smooth.

  Returns:
    float32 [b, h, w] of zeros and ones; all zeros if the energy is uniform.
  """
  shape = (energy.shape[0], height, width)
  full = jax.image.resize(energy.astype(jnp.float32), shape, "bilinear", antialias=False)
  # Rounding may put the mean of equal numbers below them.
  threshold = jnp.mean(full, axis=(1, 2), keepdims=True) * (1 + 1e-5)
  return (full > threshold).astype(jnp.float32)


def box(region: Array) -> tuple[Array, Array, Array, Array]:
  """Returns (top, bottom, left, right) of a region [h, w], float32, the ends exclusive.

  The box of an empty region is the whole image.
  """
  rows, columns = jnp.any(region > 0, axis=1), jnp.any(region > 0, axis=0)
  return (*_extent(rows), *_extent(columns))


def _extent(occupied: Array) -> tuple[Array, Array]:
  length = occupied.shape[0]
  first, last = jnp.argmax(occupied), length - jnp.argmax(occupied[::-1])
  return first.astype(jnp.float32), last.astype(jnp.float32)
