"""Reads only regular files: a pipe or device under a picture's name never blocks a command."""

import contextlib
import errno
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import BinaryIO

from vireid_jax.common import paths
from vireid_jax.common.errors import UserError, printable

_NONBLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def expanded(path: str | os.PathLike) -> pathlib.Path:
  """Returns a path of this machine with ~ replaced by the home folder.

  Raises:
    UserError: The path is the home of an unknown user, or not of this machine.
  """
  with _known_home(path):
    return paths.local(path)


def anywhere(path: str | os.PathLike) -> pathlib.Path:
  """Returns a path of this machine or of a bucket; see `expanded`.

  Raises:
    UserError: The path is the home of an unknown user, or of a bucket that cannot be read.
  """
  with _known_home(path):
    return paths.path(path)


@contextlib.contextmanager
def _known_home(path: str | os.PathLike) -> Iterator[None]:
  try:
    yield
  except RuntimeError as error:
    raise UserError(f"{printable(str(path))} is the home of an unknown user") from error


def is_regular(path: str | os.PathLike) -> bool:
  """Returns whether a path leads to a regular file.

  False for folders, pipes, sockets, devices, broken or circular links, and strings that cannot be a
  path (too long, or with a NUL).
  """
  if paths.is_remote(path):
    return path.is_file()
  try:
    return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 (pathlib raises for some of these)
  except (OSError, ValueError):
    return False


def opened(path: str | os.PathLike) -> BinaryIO:
  """Opens a regular file for reading, and never blocks on anything else.

  Raises:
    UserError: It is not a regular file; the message does not name it.
    OSError: It cannot be opened.
  """
  if paths.is_remote(path):
    return path.open("rb")
  if is_regular(path):
    # The file may have been replaced since; opened like this, a pipe does not block either.
    descriptor = os.open(path, os.O_RDONLY | _NONBLOCKING)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
      return os.fdopen(descriptor, "rb")
    os.close(descriptor)
  elif not os.path.exists(path):  # noqa: PTH110 (see above)
    raise FileNotFoundError(errno.ENOENT, "there is no such file")
  raise UserError("not a regular file")


def read_bytes(path: str | os.PathLike) -> bytes:
  """Returns a regular file's content; raises as `opened` does."""
  with opened(path) as file:
    return file.read()


def read_text(path: pathlib.Path) -> str:
  """Returns the content of a UTF-8 text file, without its byte order mark if it has one.

  Raises:
    UserError: The file cannot be read, or is not UTF-8 text; the message names the line.
  """
  shown = printable(str(path))
  try:
    data = read_bytes(path)
  except OSError as error:
    raise UserError(f"{shown} cannot be read: {error.strerror or error}") from error
  except UserError as error:
    raise UserError(f"{shown} is {error}") from error
  try:
    text = data.decode("utf-8-sig")
  except UnicodeDecodeError as error:
    line = data.count(b"\n", 0, error.start) + 1
    raise UserError(
      f"{shown}, line {line}: byte {error.object[error.start]:#04x} is not UTF-8; save the file as "
      "text in UTF-8"
    ) from None
  if "\0" in text:
    line = text.count("\n", 0, text.index("\0")) + 1
    raise UserError(f"{shown}, line {line}: it contains a NUL byte; save the file as text in UTF-8")
  return text
