"""Lines at the bottom of a terminal that are redrawn in place; everything else is printed above."""

import contextlib
import os
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

WIDTH = 100  # columns of a table in a file, and at most of one on a terminal


def draws_lines(stream: TextIO | None) -> bool:
  """Returns whether lines can be redrawn on a stream: a terminal that moves its cursor."""
  try:
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
  except ValueError:  # closed
    return False


def fitted(text: str, stream: TextIO) -> str:
  """Returns a sentence wrapped to the terminal on a stream; unchanged for files and pipes."""
  if not draws_lines(stream):
    return text
  columns = size(stream)[0] - 1
  return textwrap.fill(text, columns, break_long_words=False, break_on_hyphens=False)


def table_width(stream: TextIO) -> int:
  """Returns the columns that a table for a person may take on a stream: at most `WIDTH`."""
  return min(size(stream)[0], WIDTH) if draws_lines(stream) else WIDTH


def size(stream: TextIO) -> tuple[int, int]:
  """Returns the columns and rows of a terminal; some say 0, which is unknown."""
  with contextlib.suppress(OSError, ValueError):
    columns, rows = os.get_terminal_size(stream.fileno())
    if columns > 1 and rows > 0:
      return columns, rows
  return shutil.get_terminal_size()


class BottomLines:
  """The lines at the bottom of the terminal on standard error."""

  def __init__(self, moved: Callable[[], bool]):
    """Takes over `sys.stdout` and `sys.stderr`, so that what is written there goes above the lines.

    Args:
      moved: Function that returns whether something else has moved the cursor below the lines.
    """
    self._stream, self._moved, self._drawn = sys.stderr, moved, []
    self._lock, self._at_margin, self._closed = threading.RLock(), True, False
    self._replaced = {}
    for name in ("stdout", "stderr"):
      stream = getattr(sys, name)
      if stream is not None:
        self._replaced[name] = (stream, _Above(stream, self))
        setattr(sys, name, self._replaced[name][1])

  def draw(self, make: Callable[[int], Sequence[str]]) -> None:
    """Draws lines in place of the last ones, unless something else has begun a line.

    Args:
      make: Function from the number of columns to lines of at most that length.
    """
    columns, rows = size(self._stream)
    with self._lock:
      if self._closed or not self._at_margin:
        return
      # The last column stays free: some terminals begin a new row after it.
      lines = [line[: columns - 1] for line in make(columns - 1)][: max(rows - 1, 1)]
      text = "\n".join(f"{line}\x1b[K" for line in lines)
      # The cursor goes back, so that what a compiled library writes replaces a line rather than
      # follows it.
      self._write(f"{self._to_first(columns)}{text}\x1b[J\r")
      self._drawn = lines

  def erase(self) -> None:
    """Erases the lines; the cursor is then where they began."""
    with self._lock:
      if self._drawn:
        self._write(f"{self._to_first(size(self._stream)[0])}\x1b[J")
        self._drawn = []

  def print_above(self, stream: TextIO, text: str) -> int:
    """Writes text to a stream above the lines, which are drawn again with the next `draw`."""
    with self._lock:
      self.erase()
      count = stream.write(text)
      stream.flush()
      if text and stream.isatty():
        self._at_margin = text.endswith(("\n", "\r"))
      return count

  def close(self) -> None:
    """Erases the lines and gives the streams back."""
    with self._lock:
      self._closed = True
      self.erase()
    for name, (stream, above) in self._replaced.items():
      if getattr(sys, name) is above:
        setattr(sys, name, stream)

  def _to_first(self, columns: int) -> str:
    """Returns what moves the cursor to the beginning of the first line."""
    if self._moved():
      self._drawn = []
    # A line that was drawn before the terminal became narrower takes several rows.
    rows = sum(max(-(-len(line) // columns), 1) for line in self._drawn)
    return "\r" + "\x1b[A" * max(rows - 1, 0)

  def _write(self, text: str) -> None:
    self._stream.write(text)
    self._stream.flush()


class _Above:
  """A stream whose text is printed above the lines."""

  def __init__(self, stream: TextIO, lines: BottomLines):
    self._stream, self._lines = stream, lines

  def write(self, text: str) -> int:
    return self._lines.print_above(self._stream, text)

  def writelines(self, texts) -> None:
    self.write("".join(texts))

  def __getattr__(self, name: str):
    return getattr(self._stream, name)
