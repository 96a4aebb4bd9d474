"""Errors meant for the user: what was wrong, and what to do next."""

import difflib
import traceback
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any

# What a terminal may act on or a reader cannot see: control and format characters (colours, cursor
# moves, right-to-left overrides, zero-width spaces), line separators, bytes that are not text.
_ESCAPED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

LONGEST = 100  # characters of a value quoted in a message
MOST_LISTED = 60  # names listed in a message


class UserError(Exception):
  """Bad input or set-up. Command-line entry points print the message without a traceback."""


def nearest(name: object, options: Iterable[object], *, most: int = 3) -> str:
  """Suggests the allowed names closest to a wrong one.

  Args:
    name: What was given, of any type.
    options: The allowed names.
    most: Largest number of suggestions.

  Returns:
    "did you mean 'a' or 'b'?", or "allowed: a, b, c" if none is close.
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
  """Looks up a name; the error for an unknown name suggests the closest ones.

  Args:
    name: What was given, of any type.
    options: The allowed names, or a mapping from them to values.
    noun: What a name stands for, such as 'data set'.
    said: Start of the message if "unknown <noun> <name>" does not fit.

  Returns:
    The name's value if `options` is a mapping, else the name.

  Raises:
    UserError: The name is not allowed.
  """
  if not isinstance(name, str) or name not in options:
    raise UserError(f"{said or f'unknown {noun} {shown(name)}'}; {nearest(name, options)}")
  return options[name] if isinstance(options, Mapping) else name


def shown(value: object, *, longest: int = LONGEST) -> str:
  """Returns a value's repr on one line of visible characters, shortened if it is long."""
  try:
    text = repr(value)
  except Exception:  # huge integers, deep nesting, a __repr__ that raises
    text = f"a value of type {type(value).__name__} that cannot be printed"
  text = printable(text)
  return text if len(text) <= longest else f"{text[: longest - 12]} ... {text[-6:]}"


def origin(error: BaseException, file: str = "") -> tuple[str, int, str]:
  """Returns where an error was raised: file, line number and source line.

  Args:
    error: The caught exception.
    file: File whose innermost frame is meant; '' for any file.

  Returns:
    (file, line number, source line); ('', 0, '') if unknown.
  """
  if isinstance(error, SyntaxError) and error.filename and file in ("", error.filename):
    return error.filename, error.lineno or 0, (error.text or "").strip()
  frames = traceback.extract_tb(error.__traceback__)
  frames = [frame for frame in frames if file in ("", frame.filename)]
  # Python's import machinery is never the cause.
  frames = [frame for frame in frames if not frame.filename.startswith("<frozen importlib")]
  if not frames:
    return "", 0, ""
  return frames[-1].filename, frames[-1].lineno or 0, (frames[-1].line or "").strip()


def printable(text: str, *, keep: str = "") -> str:
  """Escapes characters that are invisible or unsafe in a terminal.

  Args:
    text: Text such as a file name, in which bytes that are not UTF-8 are surrogates.
    keep: Characters to leave unescaped, such as "\\n" in a message of several lines.

  Returns:
    Text of visible characters and spaces that always encodes as UTF-8. Other characters are escaped
    as in Python: an escape byte as \\x1b, a byte 255 as \\xff, a zero-width space as \\u200b.
  """
  if text.isascii() and text.isprintable():
    return text
  return "".join(
    _escaped(letter) if letter not in keep and unicodedata.category(letter) in _ESCAPED else letter
    for letter in text
  )


def _escaped(letter: str) -> str:
  number = ord(letter)
  if 0xDC80 <= number <= 0xDCFF:  # a surrogate, which stands for a byte that is not UTF-8
    return f"\\x{number - 0xDC00:02x}"
  return letter.encode("unicode_escape").decode("ascii")
