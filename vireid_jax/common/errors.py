"""Errors meant for the person at the keyboard: what was wrong, and what to do next."""

import difflib
import traceback
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any

# What a terminal may act on or a reader cannot see: control and format characters (colours, cursor
# moves, right-to-left overrides, zero-width spaces), line separators, bytes that are not text.
_ESCAPED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

LONGEST = 100  # characters of a value in a message
MOST_LISTED = 60  # names in a message


class UserError(Exception):
  """Bad input or set-up. Command-line entry points print the message without a traceback."""


def nearest(name: object, options: Iterable[object], *, most: int = 3) -> str:
  """Says which of the allowed names come closest to a wrong one.

  Args:
    name: what was given; of any type.
    options: the allowed names.
    most: how many to suggest.

  Returns:
    "did you mean 'a' or 'b'?", or "allowed: a, b, c" when nothing comes close.
  """
  options = sorted(map(str, options))
  name = name[:LONGEST] if isinstance(name, str) else shown(name)
  close = difflib.get_close_matches(name, options, n=most, cutoff=0.5)
  if close:
    return "did you mean " + " or ".join(repr(option) for option in close) + "?"
  names = [printable(option) for option in options[:MOST_LISTED]]
  names += ["..."] if len(options) > MOST_LISTED else []
  return "allowed: " + (", ".join(names) or "(none)")


def choose(name: object, options: Collection, noun: str = "", *, said: str = "") -> Any:
  """Returns what a name stands for; refuses an unknown one with those that come close.

  Args:
    name: what was given; of any type.
    options: the allowed names, or a mapping from them to values.
    noun: what the names name, such as 'data set'.
    said: what was wrong, where "unknown <noun> <name>" is not the sentence.

  Returns:
    The name's value where `options` is a mapping, else the name.

  Raises:
    UserError: a name that is not allowed.
  """
  if not isinstance(name, str) or name not in options:
    raise UserError(f"{said or f'unknown {noun} {shown(name)}'}; {nearest(name, options)}")
  return options[name] if isinstance(options, Mapping) else name


def shown(value: object, *, longest: int = LONGEST) -> str:
  """Writes a value as Python does, in one line of visible characters that is not too long."""
  try:
    text = repr(value)
  except Exception:  # numbers of thousands of digits, deep nesting, objects with an error in them
    text = f"a value of type {type(value).__name__} that cannot be written down"
  text = printable(text)
  return text if len(text) <= longest else f"{text[: longest - 12]} ... {text[-6:]}"


def origin(error: BaseException, file: str = "") -> tuple[str, int, str]:
  """Returns the file, the number and the text of the line at which an error arose.

  Args:
    error: as it was caught.
    file: the last line of this file that was passed through is meant; any file's when empty.

  Returns:
    ('', 0, '') where no such line is known.
  """
  if isinstance(error, SyntaxError) and error.filename and file in ("", error.filename):
    return error.filename, error.lineno or 0, (error.text or "").strip()
  frames = traceback.extract_tb(error.__traceback__)
  frames = [frame for frame in frames if file in ("", frame.filename)]
  # Python's own machinery of imports is nobody's mistake.
  frames = [frame for frame in frames if not frame.filename.startswith("<frozen importlib")]
  if not frames:
    return "", 0, ""
  return frames[-1].filename, frames[-1].lineno or 0, (frames[-1].line or "").strip()


def printable(text: str, *, keep: str = "") -> str:
  """Escapes what a file name may hold but a terminal must not receive.

  Args:
    text: such as a file name, as Python gives it (bytes that are not UTF-8 are surrogates).
    keep: characters that stay all the same, such as "\\n" for a message of several lines.

  Returns:
    Text of visible characters and spaces that always encodes as UTF-8. The others are written as
    Python does: an escape byte as \\x1b, a byte 255 as \\xff, a zero-width space as \\u200b.
  """
  if text.isascii() and text.isprintable():
    return text
  return "".join(
    _escaped(letter) if letter not in keep and unicodedata.category(letter) in _ESCAPED else letter
    for letter in text
  )


def _escaped(letter: str) -> str:
  number = ord(letter)
  if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8, as Python stores it in a name
    return f"\\x{number - 0xDC00:02x}"
  return letter.encode("unicode_escape").decode("ascii")
