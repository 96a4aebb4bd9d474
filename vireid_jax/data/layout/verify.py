"""Finds image files that cannot be decoded, before a data set is built from them."""

import os
from collections.abc import Callable, Iterable
from concurrent import futures

from vireid_jax.common.errors import UserError
from vireid_jax.data.layout.common import Image
from vireid_jax.data.prepared import picture


def decoding_error(image: Image) -> str | None:
  """Decodes an image and its mask completely; returns why that fails, or None."""
  try:
    size = picture.rgb(image.path, turn=image.turn).size
  except UserError as error:
    return str(error)
  try:
    mask_size = picture.grey(image.mask, turn=image.turn).size if image.mask else size
  except UserError as error:
    return f"its mask: {error}"
  if mask_size != size:
    return f"it has {size[0]} x {size[1]} pixels and its mask {mask_size[0]} x {mask_size[1]}"
  return None


def corrupt_images(
  images: Iterable[Image], *, threads: int = 0, on_image: Callable[[], object] = lambda: None
) -> dict[str, str]:
  """Decodes all images in threads (the decoders release the interpreter lock).

  Args:
    images: Images to decode.
    threads: Number of threads; 0 for one per core, at most 8.
    on_image: Function called after each image.

  Returns:
    {file name: reason} of the images that cannot be decoded, in the order given.
  """
  images = list(images)
  reasons = {}
  with futures.ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
    for image, reason in zip(images, pool.map(decoding_error, images), strict=True):
      if reason is not None:
        reasons[image.file_name] = reason
      on_image()
  return reasons
