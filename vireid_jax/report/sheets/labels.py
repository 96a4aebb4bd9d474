"""Labels of contact sheets: strips of text as wide as what they name."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZES = range(13, 6, -1)  # pixels; the largest that fits is taken
PAPER, INK = (255, 255, 255), (20, 20, 20)
PAD = 2  # pixels beside and above the text


def strip(text: str, width: int, height: int) -> np.ndarray:
  """Draws a text in the middle of a white strip.

  Args:
    text: The text; it may break at underscores and spaces, which become line ends.
    width: Width of the strip, in pixels.
    height: Height of the strip, in pixels.

  Returns:
    uint8 [height, width, 3]. A text that does not fit in the smallest size is cut off.
  """
  for size in SIZES:
    lines = _wrapped(text.replace("_", " ").split(), size, width - 2 * PAD)
    if len(lines) * _line_height(size) <= height - PAD and all(
      _length(line, size) <= width - 2 * PAD for line in lines
    ):
      break
  image = Image.new("RGB", (width, height), PAPER)
  pen, top = ImageDraw.Draw(image), (height - len(lines) * _line_height(size)) // 2
  for number, line in enumerate(lines):
    left = max((width - _length(line, size)) // 2, PAD)
    pen.text((left, top + number * _line_height(size)), line, fill=INK, font=_font(size))
  return np.asarray(image)


def _wrapped(words: list[str], size: int, width: int) -> list[str]:
  lines = [""]
  for word in words:
    longer = f"{lines[-1]} {word}".strip()
    if lines[-1] and _length(longer, size) > width:
      lines.append(word)
    else:
      lines[-1] = longer
  return lines


def _length(text: str, size: int) -> int:
  return int(np.ceil(_font(size).getlength(text)))


def _line_height(size: int) -> int:
  return round(1.25 * size)


@functools.cache
def _font(size: int) -> ImageFont.ImageFont:
  return ImageFont.load_default(size)
