"""Writing into a workdir: whole files or none, and errors that a person understands."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from vireid_jax.common import cleanup
from vireid_jax.common.errors import UserError, printable

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
NAME_BYTES, PATH_BYTES = 255, 3500  # of Linux; a path has 4,096, and files go below the folder
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

  Raises:
    UserError: a folder, device or pipe has that name.
  """
  if path.exists() and not path.is_file():
    raise UserError(f"{path} exists and is not a regular file; name another place to write to")
  partial = beside(path, PARTIAL)
  with cleanup.removing(partial), partial.open("xb") as file:
    _hold(file)
    yield file
    file.flush()
    os.fsync(file.fileno())
    partial.replace(path)


@contextlib.contextmanager
def temporary_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Makes a folder and removes it at the end with what is in it, also when a signal ends us."""
  with cleanup.removing(path):
    path.mkdir(parents=True)
    yield path


def beside(path: pathlib.Path, suffix: str) -> pathlib.Path:
  """Returns a hidden name of its own in the folder of `path`, for what will be renamed to it."""
  start = os.fsdecode(os.fsencode(path.name)[:100])  # names have at most 255 bytes
  return path.with_name(f".{start}.{os.urandom(8).hex()}{suffix}")


def _hold(file: BinaryIO) -> None:
  """Tells `remove_partial` that the writer lives; the lock ends with it."""
  with contextlib.suppress(OSError):  # not every file system has locks
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a whole text file, or none; see `replacing`."""
  with replacing(path) as file:
    file.write(text.encode("utf-8"))


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes a whole JSON file, or none; see `replacing`.

  Args:
    path: of the file; its folder exists.
    value: of JSON's types.
  """
  write_text(path, json.dumps(value, indent=2) + "\n")


def folder_named(text: str, option: str) -> pathlib.Path:
  """Returns the folder that an option names, which need not exist.

  Args:
    text: of the command line.
    option: with its dashes, for messages.

  Raises:
    UserError: the name is empty, too long, not text, or leads through a link to nothing.
  """
  if not text.strip():
    raise UserError(f"{option} is empty; name a folder, or '.' for the current one")
  try:
    path = pathlib.Path(text).expanduser()
  except RuntimeError:  # ~somebody
    raise UserError(f"{option}={text} is the home of an unknown user; name a folder") from None
  wrong = ""
  if printable(text) != text:
    wrong = "holds characters or bytes that are not text"
  elif any(len(part.encode()) > NAME_BYTES for part in path.parts):
    wrong = f"has a name of more than {NAME_BYTES} bytes"
  elif len(str(path.absolute()).encode()) > PATH_BYTES:
    wrong = f"is a path of more than {PATH_BYTES} bytes"
  else:
    links = [part for part in (path, *path.parents) if part.is_symlink() and not part.exists()]
    wrong = f"leads through {links[0]}, a link to nothing" if links else ""
  if wrong:
    shown = text if len(text) <= 100 else f"{text[:80]}..."
    raise UserError(f"{option}={shown} {wrong}; name another folder")
  return path


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
    workdir: being written. An error that names a file elsewhere, such as one of the data set, is
      said to be that file's.
    kept: describes what is still good, for the message.
  """
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    reason = reason_of(error)
    if reason is None:
      raise
    place = _file_elsewhere(error, workdir)
    if place:
      raise UserError(
        f"{printable(place)} cannot be read or written: {_system_words(error)}. Give this user the "
        f"right, or mend the disk or the file; {kept()}the same command then continues"
      ) from error
    raise UserError(
      f"cannot write to {workdir}: {reason}. {kept()}Make room or rights, or choose another "
      "--workdir; the same command then continues"
    ) from error


def _file_elsewhere(error: BaseException, workdir: pathlib.Path) -> str:
  """Returns the file that an error names, if it is not in the workdir; else ''."""
  names = [name for name in (getattr(error, "filename", None), getattr(error, "filename2", None))]
  # Libraries in C++ put it into their message.
  names = [os.fsdecode(name) for name in names if isinstance(name, str | bytes)]
  names = names or re.findall(r"(?<![\w.])/[^\s'\":;,()\[\]]+", str(error))
  roots = {workdir.absolute(), workdir.resolve()}
  return (
    names[0] if names and not any(_related(pathlib.Path(name), roots) for name in names) else ""
  )


def _related(path: pathlib.Path, roots: set[pathlib.Path]) -> bool:
  """Whether a path is in a folder, or is one that the folder itself is in."""
  path = path.absolute()
  return any(path.is_relative_to(root) or root.is_relative_to(path) for root in roots)


def _system_words(error: BaseException) -> str:
  words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
  return printable(" ".join(words.split()))[:300]


def reason_of(error: BaseException) -> str | None:
  """Returns why something could not be written, in words; None for another kind of error."""
  if isinstance(error, OSError) and error.errno in REASONS:
    return REASONS[error.errno]
  found = [number for words, number in WORDS.items() if words in str(error)]
  return REASONS[found[0]] if found else None


def remove_partial(*folders: pathlib.Path) -> None:
  """Removes files whose writers were killed before they had their names; see `replacing`."""
  for folder in folders:
    for path in folder.glob(f".*{PARTIAL}"):
      with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a living writer holds it
        path.unlink()


@contextlib.contextmanager
def writing(path: pathlib.Path, option: str) -> Iterator[None]:
  """Turns what a full or read-only disk raises inside the context into a UserError.

  Args:
    path: being written.
    option: of the command line, that names it.
  """
  try:
    yield
  except OSError as error:
    reason = REASONS.get(error.errno, str(error))
    raise UserError(
      f"cannot write {path}: {reason}. Make room or rights, or name another place with {option}"
    ) from error


@contextlib.contextmanager
def new_file(path: pathlib.Path, option: str) -> Iterator[BinaryIO]:
  """Gives a file to write that appears whole, see `files.replacing`; its folder is made.

  Args:
    path: of the file.
    option: of the command line, that names it.
  """
  with writing(path, option):
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
      yield file


def check_file(path: pathlib.Path, option: str) -> None:
  """Raises UserError where no file of that name can be written; see `check_writable`."""
  if path.exists() and not path.is_file():
    raise UserError(f"{option}={path} is a folder or no regular file; name another place")
  check_writable(path.absolute().parent, option)


def check_writable(folder: pathlib.Path, option: str) -> None:
  """Writes a byte into a folder, or into the one that it will be made in.

  Called before minutes of work; nothing is left of it, so that a command which refuses something
  else leaves nothing either.

  Raises:
    UserError: it cannot be written, and why.
  """
  with writing(folder, option):
    while not folder.exists() and folder != folder.parent:
      folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
      file.write(b"1")
