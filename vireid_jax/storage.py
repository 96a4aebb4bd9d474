"""Writing into a workdir: whole files or none, and errors that a person understands."""

import contextlib
import errno
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator

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
# Orbax reports some failed writes in words alone.
WORDS = {
  "No space left on device": errno.ENOSPC,
  "File too large": errno.EFBIG,
  "Disk quota exceeded": errno.EDQUOT,
  "Read-only file system": errno.EROFS,
  "Permission denied": errno.EACCES,
}


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a file so that a reader, or a killed run's successor, finds the old or the new text."""
  partial = path.with_name(f".{path.name}.partial")
  with partial.open("w", encoding="utf-8") as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())
  partial.replace(path)


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
