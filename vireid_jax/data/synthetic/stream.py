"""Renders and encodes many images, in one process or several."""

import concurrent.futures
import dataclasses
import functools
import multiprocessing
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from vireid_jax.common import worker_signals
from vireid_jax.common.errors import UserError
from vireid_jax.data.synthetic.renderer import render
from vireid_jax.data.synthetic.world import WorldSpec

SUFFIXES = (".jpg", ".png", ".bmp")
JPEG_QUALITY = 92
Key = tuple[int, int, int]  # identity, camera, index

# A pool of processes takes a second or two to start: not worth it for a few images.
FEWEST_FOR_POOL = 2000
BLOCK = 1024  # images in flight, so that they do not pile up in memory if the reader is slow


@dataclasses.dataclass(frozen=True)
class Encoded:
  """The bytes of an image file, and of its mask as PNG (empty without masks)."""

  key: Key
  image: bytes
  mask: bytes


def encode(image: np.ndarray, suffix: str) -> bytes:
  """Encodes an image.

  Args:
    image: uint8 [h, w, 3], RGB, or uint8 [h, w].
    suffix: '.jpg' (quality 92), '.png' or '.bmp'.

  Returns:
    The bytes of the file.

  Raises:
    UserError: The suffix is another one.
  """
  if suffix not in SUFFIXES:
    raise UserError(f"cannot encode {suffix!r}; allowed: {', '.join(SUFFIXES)}")
  stored = image[..., ::-1] if image.ndim == 3 else image
  options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
  return cv2.imencode(suffix, np.ascontiguousarray(stored), options)[1].tobytes()


def render_encoded(
  spec: WorldSpec, keys: Iterable[Key], *, suffix: str = ".jpg", masks: bool = False, workers=1
) -> Iterator[Encoded]:
  """Renders and encodes images, in the order of the keys.

  Args:
    spec: The world.
    keys: (identity, camera, index) of each image, as `spec.images()` yields them.
    suffix: File format of the images, see `encode`.
    masks: Whether to encode the masks too.
    workers: Number of processes. With more than one, the calling script needs the usual
      `if __name__ == "__main__"` guard. Threads would not help: drawing holds the interpreter lock.

  Yields:
    One `Encoded` per key.
  """
  keys = list(keys)
  one = functools.partial(_render_one, spec, suffix, masks)
  if workers <= 1 or len(keys) < FEWEST_FOR_POOL:
    yield from map(one, keys)
    return
  # Not fork: the caller may have started JAX's threads.
  context = multiprocessing.get_context("spawn")
  pool = concurrent.futures.ProcessPoolExecutor(
    workers, mp_context=context, initializer=worker_signals.reset
  )
  try:
    for start in range(0, len(keys), BLOCK):
      with worker_signals.blocked_in_children():
        rendered = pool.map(one, keys[start : start + BLOCK], chunksize=32)
      yield from rendered
  finally:
    pool.shutdown(cancel_futures=True)


def _render_one(spec: WorldSpec, suffix: str, masks: bool, key: Key) -> Encoded:
  rendered = render(spec, *key)
  return Encoded(
    key, encode(rendered.image, suffix), encode(rendered.mask, ".png") if masks else b""
  )
