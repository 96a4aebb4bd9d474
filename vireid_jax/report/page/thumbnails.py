"""Pictures on the page."""

import numpy as np
from PIL import Image

from vireid_jax.common.data_uris import picture_uri
from vireid_jax.data.prepared import picture

HEIGHT = 160  # pixels at most; stored images are rarely larger


def of_encoded(encoded: bytes) -> str:
  """Makes a data URI of an encoded image, at its stored size up to `HEIGHT`."""
  return of_image(decode(encoded))


def decode(encoded: bytes) -> Image.Image:
  """Decodes an image and shrinks it to `HEIGHT` where it is taller."""
  image = picture.rgb(encoded)
  if image.height > HEIGHT:
    size = (max(1, round(image.width * HEIGHT / image.height)), HEIGHT)
    image = image.resize(size, Image.Resampling.LANCZOS)
  return image


def of_pixels(pixels: np.ndarray) -> str:
  """Makes a data URI of uint8 [h, w, 3]."""
  return of_image(Image.fromarray(pixels))


def of_image(image: Image.Image) -> str:
  """Makes a data URI of a picture as WebP."""
  return picture_uri(image, "webp")
