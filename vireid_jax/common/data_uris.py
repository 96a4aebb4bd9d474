"""Addresses that hold what they name, so that a page needs no other file."""

import base64
import io
import typing

if typing.TYPE_CHECKING:
  from PIL import Image

QUALITY = 80


def data_uri(content: bytes, mime: str) -> str:
  """Writes bytes into an address."""
  return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def picture_uri(picture: "Image.Image", kind: str) -> str:
  """Encodes a picture into an address.

  Args:
    picture: RGB.
    kind: 'jpeg' or 'webp'.
  """
  buffer = io.BytesIO()
  picture.save(buffer, kind.upper(), quality=QUALITY)
  return data_uri(buffer.getvalue(), f"image/{kind}")
