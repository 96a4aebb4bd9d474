"""Decoded images in memory: decoded and resized once, then only gathered."""

import concurrent.futures
import functools
import os
from collections.abc import Callable

import numpy as np

from vireid_jax.common import progress
from vireid_jax.common.errors import UserError, printable
from vireid_jax.data.prepared.source import ImageSet, decode, decode_mask

CHUNK = 64


def fill(
  images: ImageSet,
  size: tuple[int, int],
  resize: str,
  *,
  change: Callable[[str, np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
  """Decodes all images with one thread per core (the decoder releases Python's lock).

  Args:
    images: The n images.
    size: (height, width) in pixels.
    resize: Resampling filter, see `source.decode`.
    change: Function (name, decoded image) -> image applied before the resize, such as a corruption.

  Returns:
    uint8 [n, height, width, 3].

  Raises:
    UserError: An image cannot be decoded; the message names it.
  """
  return _fill(
    np.empty((len(images), *size, 3), np.uint8),
    lambda row: decode_row(images, row, size, resize, change),
  )


def fill_masks(images: ImageSet, size: tuple[int, int]) -> np.ndarray:
  """Decodes all masks with one thread per core.

  Args:
    images: The n images, with masks.
    size: (height, width) in pixels.

  Returns:
    uint8 [n, height, width, 1].
  """
  return _fill(
    np.empty((len(images), *size, 1), np.uint8),
    lambda row: _decode_mask_row(images, row, size),
  )


def _fill(cache: np.ndarray, decode_row: Callable[[int], np.ndarray]) -> np.ndarray:
  def fill_chunk(start: int) -> int:
    stop = min(start + CHUNK, len(cache))
    for row in range(start, stop):
      cache[row] = decode_row(row)
    return stop - start

  with (
    progress.part("decoding", len(cache), "img") as activity,
    concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
  ):
    for count in pool.map(fill_chunk, range(0, len(cache), CHUNK)):
      activity.advance(count)
  return cache


def decode_row(
  images: ImageSet, row: int, size: tuple[int, int], resize: str, change=None
) -> np.ndarray:
  """Decodes one image of a set; see `fill`."""
  # needs Pillow, which may be missing where only benchmarks run
  from vireid_jax.data.prepared.picture import PictureError

  name = str(images.records.name[row])
  change = functools.partial(change, name) if change else None
  try:
    return decode(images.encoded[row], size, resize, change=change)
  except PictureError as error:
    raise UserError(
      f"cannot decode {printable(name)}: {error}. Prepare the data set again; it checks every image"
    ) from error


def _decode_mask_row(images: ImageSet, row: int, size: tuple[int, int]) -> np.ndarray:
  from vireid_jax.data.prepared.picture import PictureError

  try:
    return decode_mask(images.masks[row], size)
  except PictureError as error:
    raise UserError(
      f"cannot decode the mask of {printable(str(images.records.name[row]))}: {error}. Prepare the "
      "data set again; it checks every mask"
    ) from error
