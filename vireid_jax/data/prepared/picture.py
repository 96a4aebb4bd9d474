"""Opens picture files: which formats this package reads, and how they become RGB.

All decoding of pictures in the package goes through here.
"""

import contextlib
import importlib
import io
import os
import warnings
from collections.abc import Iterator

from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from vireid_jax.common.errors import UserError
from vireid_jax.data import regular_files

# Pillow decides by content, not by the file's name. Only these are allowed, because some of its
# other readers start programs (Ghostscript for EPS).
FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
for _plugin in (
  "Bmp",
  "Jpeg",
  "Png",
  "Tiff",
  "WebP",
):  # otherwise the first picture loads every plugin
  importlib.import_module(f"PIL.{_plugin}ImagePlugin")
NOT_A_PICTURE = "not a picture"
MOST_PIXELS = 89_478_485  # Pillow's limit for decompression bombs; a quarter of a gigabyte
ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
  2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
  3: PillowImage.Transpose.ROTATE_180,
  4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
  5: PillowImage.Transpose.TRANSPOSE,
  6: PillowImage.Transpose.ROTATE_270,
  7: PillowImage.Transpose.TRANSVERSE,
  8: PillowImage.Transpose.ROTATE_90,
}

# Pillow's warnings do not name the picture. What matters is refused below, with the name.
warnings.filterwarnings("ignore", module=r"PIL\.")


class PictureError(UserError):
  """A file is not a picture, or not a usable one; the message does not name the file."""


@contextlib.contextmanager
def open_picture(source: bytes | str | os.PathLike) -> Iterator[PillowImage.Image]:
  """Opens a picture and checks its header, without decoding its pixels.

  Args:
    source: Encoded bytes, or the path of a regular file.

  Yields:
    The first frame of the picture.

  Raises:
    PictureError: The source is not a picture in one of `FORMATS`, has more than eight bits per
      channel or more than `MOST_PIXELS` pixels, or its decoder raises inside the context.
  """
  try:
    with (
      io.BytesIO(source) if isinstance(source, bytes) else regular_files.opened(source) as file,
      PillowImage.open(file, formats=FORMATS) as picture,
    ):
      _refuse_deep_pixels(picture)
      _refuse_huge(picture)
      yield picture
  except UnidentifiedImageError:
    raise PictureError(NOT_A_PICTURE) from None
  except UserError as error:
    raise PictureError(str(error)) from error
  except PillowImage.DecompressionBombError as error:
    raise PictureError(f"it has more than {MOST_PIXELS:,} pixels") from error
  except Exception as error:  # decoders raise many kinds, SyntaxError among them
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    raise PictureError(f"damaged: {reason}" if reason else "damaged") from error


def rgb(source: bytes | str | os.PathLike, *, turn: bool = False) -> PillowImage.Image:
  """Decodes a picture to RGB.

  Args:
    source: Encoded bytes, or the path of a regular file.
    turn: Whether to apply the EXIF orientation. It is applied to users' own pictures, but not to
      the benchmarks', as is usual.

  Returns:
    The picture; palettes, grey, CMYK and transparency are converted, colour profiles are ignored.

  Raises:
    PictureError: See `open_picture`.
  """
  with open_picture(source) as picture:
    picture.load()
    return upright(picture).convert("RGB") if turn else picture.convert("RGB")


def grey(source: bytes | str | os.PathLike, *, turn: bool = False) -> PillowImage.Image:
  """Decodes a picture, such as a mask, to 8-bit grey; see `rgb`."""
  with open_picture(source) as picture:
    picture.load()
    return upright(picture).convert("L") if turn else picture.convert("L")


def orientation(picture: PillowImage.Image) -> int:
  """Returns the EXIF orientation, 1 to 8; 1 if it is missing or unreadable."""
  try:
    found = picture.getexif().get(ORIENTATION, 1)
  except Exception:  # a damaged EXIF block is no reason to lose the picture
    return 1
  return found if found in _UPRIGHT else 1


def upright(picture: PillowImage.Image) -> PillowImage.Image:
  """Returns a decoded picture with its EXIF orientation applied."""
  turn = _UPRIGHT.get(orientation(picture))
  return picture if turn is None else picture.transpose(turn)


def _refuse_deep_pixels(picture: PillowImage.Image) -> None:
  """Refuses pictures that would lose bits.

  Thermal cameras write such files. Converting them to eight bits would saturate nearly all of their
  range, and only the owner knows how to scale it. Pillow silently cuts 16-bit colour and
  transparent pictures to 8 bits, so the depth in the file decides.
  """
  bits = getattr(picture, "tag_v2", {}).get(258, (8,))  # BitsPerSample of TIFF
  deep_tiff = max(bits if isinstance(bits, tuple) else (bits,), default=8) > 8
  deep_png = any(";16" in str(tile[3]) for tile in picture.tile)  # the encoded pixels' layout
  if picture.mode.startswith(("I", "F")) or deep_tiff or deep_png:
    raise PictureError("its pixels have more than 8 bits; save it with 8 bits per channel")


def _refuse_huge(picture: PillowImage.Image) -> None:
  width, height = picture.size
  if width * height > MOST_PIXELS:
    raise PictureError(f"it has {width} x {height} pixels; at most {MOST_PIXELS:,} are allowed")
