"""Position embeddings of Vision Transformers, resized to other image sizes."""

import math
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.errors import UserError

# Last component of their PyTorch names: timm's and Hugging Face's.
NAMES = ("pos_embed", "position_embeddings")


def resize_all(weights: Mapping[str, np.ndarray], grid: tuple[int, int]) -> dict[str, np.ndarray]:
  """Returns tensors with all position embeddings resized to a grid; see `resize`."""
  return {
    name: resize(value, grid) if name.rpartition(".")[2] in NAMES else value
    for name, value in weights.items()
  }


def resize(positions: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """Resizes a square grid of position embeddings bilinearly; the class position is kept.

  Pixel centres are aligned and corners are not, without smoothing, as in PyTorch's `interpolate`.

  Args:
    positions: float [1, 1 + s * s, c], the class position first. Distilled DeiT has a second token,
      whose position is dropped.
    grid: Number of patches down and across.

  Returns:
    float [1, 1 + grid[0] * grid[1], c].

  Raises:
    UserError: The positions are not those of a square grid.
  """
  extra, side = _layout(positions)
  rows, columns = grid
  old = positions[0, extra:].reshape(side, side, -1)
  new = np.einsum("ri,cj,ijk->rck", _weights(side, rows), _weights(side, columns), old)
  new = new.reshape(1, rows * columns, -1).astype(positions.dtype)
  return np.concatenate([positions[:, :1], new], axis=1)


def _layout(positions: np.ndarray) -> tuple[int, int]:
  """Returns the number of tokens before the grid, 1 or 2, and the side of the grid."""
  if positions.ndim == 3 and positions.shape[0] == 1:
    for extra in (1, 2):
      side = math.isqrt(max(positions.shape[1] - extra, 0))
      if side and side * side + extra == positions.shape[1]:
        return extra, side
  raise UserError(
    f"position embeddings of shape {positions.shape} are not those of a class token and a square "
    "grid of patches, [1, 1 + s * s, c]; give the weights of a Vision Transformer with a class "
    "token, trained on square images"
  )


def _weights(old: int, new: int) -> np.ndarray:
  """Returns the weights of linear interpolation from `old` points to `new`, [new, old]."""
  places = (np.arange(new) + 0.5) * old / new - 0.5  # np.interp holds the values at the ends
  return np.stack([np.interp(places, np.arange(old), row) for row in np.eye(old)], axis=1)
