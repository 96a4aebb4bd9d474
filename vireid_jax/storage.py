"""Writing into a workdir: whole files or none, and errors that a person understands."""

import contextlib
import errno
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from vireid_jax import interrupts
from vireid_jax.errors import UserError

REASONS = {
  errno.ENOSPC: "the disk is full",
  errno.EFBIG: "a file would become larger than this process may write",
  errno.EDQUOT: "the disk quota is used up",
  errno.EROFS: "the file system is read-only",
  errno.EACCES: "this user may not write there",
  errno.EPERM: "this user may not write there",
  errno.ENOTDIR: "a part of its path is a file",
  errno.EEXIST: "it is a file",
}
PARTIAL = ".partial"  # ends the name of a file that is being written
# Orbax reports some failed writes in words alone.
WORDS = {
  "No space left on device": errno.ENOSPC,
  "File too large": errno.EFBIG,
  "Disk quota exceeded": errno.EDQUOT,
  "Read-only file system": errno.EROFS,
  "Permission denied": errno.EACCES,
}


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Gives a file to write; it appears under its name when the context ends without an error.

  A reader, or a killed run's successor, finds the old or the new content, never a part. The file is
  written beside its final place under a name of its own, so that two writers do not meet; the last
  one to finish wins.

  Args:
    path: of the file; its folder exists.

  Yields:
    A binary file.
  """
  descriptor, name = tempfile.mkstemp(
    prefix=f".{path.name[:100]}.", suffix=PARTIAL, dir=path.parent
  )
  partial = pathlib.Path(name)
  try:
    with interrupts.removing(partial), os.fdopen(descriptor, "wb") as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    partial.chmod(0o666 & ~_umask())
    partial.replace(path)
  finally:
    partial.unlink(missing_ok=True)


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a whole text file, or none; see `replacing`."""
  with replacing(path) as file:
    file.write(text.encode("utf-8"))


def _umask() -> int:
  mask = os.umask(0)  # the only way to read it is to set it
  os.umask(mask)
  return mask


def make_workdir(workdir: pathlib.Path) -> None:
  """Makes a folder and writes a byte into it.

  Raises:
    UserError: it cannot be made or written, and why.
  """
  with explained(workdir):
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=workdir) as file:
      file.write(b"1")


@contextlib.contextmanager
def explained(workdir: pathlib.Path, kept: Callable[[], str] = str) -> Iterator[None]:
  """Turns what a full or read-only disk raises inside the context into a UserError.

  Args:
    workdir: being written.
    kept: describes what is still good, for the message.
  """
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    reason = _reason(error)
    if reason is None:
      raise
    raise UserError(
      f"cannot write to {workdir}: {reason}. {kept()}Make room or rights, or choose another "
      "--workdir; the same command then continues"
    ) from error


def _reason(error: BaseException) -> str | None:
  if isinstance(error, OSError) and error.errno in REASONS:
    return REASONS[error.errno]
  found = [number for words, number in WORDS.items() if words in str(error)]
  return REASONS[found[0]] if found else None
