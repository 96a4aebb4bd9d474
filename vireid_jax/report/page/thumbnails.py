"""Pictures on the page."""

import numpy as np
from PIL import Image

from vireid_jax.common.data_uris import picture_uri
from vireid_jax.data.prepared import picture

HEIGHT = 160  # maximum, in pixels; stored images are rarely larger


def of_encoded(encoded: bytes) -> str:
  """Returns an encoded image as a data URI, shrunk to `HEIGHT` if it is taller."""
  return of_image(decode(encoded))


def decode(encoded: bytes) -> Image.Image:
  """Decodes an image and shrinks it to `HEIGHT` if it is taller."""
  image = picture.rgb(encoded)
  if image.height > HEIGHT:
    size = (max(1, round(image.width * HEIGHT / image.height)), HEIGHT)
    image = image.resize(size, Image.Resampling.LANCZOS)
  return image


def of_pixels(pixels: np.ndarray) -> str:
  """Returns uint8 [h, w, 3] as a data URI."""
  return of_image(Image.fromarray(pixels))


def of_image(image: Image.Image) -> str:
  """Returns a picture as a data URI, encoded as WebP."""
  return picture_uri(image, "webp")
