"""Data URIs, which embed files into a page."""

import base64
import io
import typing

if typing.TYPE_CHECKING:
  from PIL import Image

QUALITY = 80


def data_uri(content: bytes, mime: str) -> str:
  """Encodes bytes as a data URI."""
  return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def picture_uri(picture: "Image.Image", kind: str) -> str:
  """Encodes a picture as a data URI.

  Args:
    picture: Picture in RGB.
    kind: Image format, 'jpeg' or 'webp'.
  """
  buffer = io.BytesIO()
  picture.save(buffer, kind.upper(), quality=QUALITY)
  return data_uri(buffer.getvalue(), f"image/{kind}")
