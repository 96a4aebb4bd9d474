"""Writing files: atomically, and with errors that a user understands."""

import contextlib
import errno
import fcntl
import io
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from vireid_jax.common import cleanup, paths
from vireid_jax.common.errors import UserError, printable

REASONS = {
  errno.ENOSPC: "the disk is full",
  errno.EFBIG: "the file would exceed this process's size limit",
  errno.EDQUOT: "the disk quota is used up",
  errno.EROFS: "the file system is read-only",
  errno.EACCES: "this user may not write there",
  errno.EPERM: "this user may not write there",
  errno.ENOTDIR: "its path leads through a file",
  errno.EEXIST: "it is a file",
}
NAME_BYTES, PATH_BYTES = (
  255,
  3500,
)  # Linux allows paths of 4,096 bytes, files in the folder included
PARTIAL = ".partial"  # suffix of a file that is being written
# Orbax reports some failed writes only in words.
WORDS = {
  "No space left on device": errno.ENOSPC,
  "File too large": errno.EFBIG,
  "Disk quota exceeded": errno.EDQUOT,
  "Read-only file system": errno.EROFS,
  "Permission denied": errno.EACCES,
}


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Opens a file that appears under its name only when the context ends without an error.

  Readers find the old or the new content, never a part of it, even after a kill. The file is
  written in the same folder under a unique name, so that writers do not collide; the last to finish
  wins. For a bucket it is collected in memory and written at once.

  Args:
    path: Path of the file; its folder exists.

  Yields:
    A binary file.

  Raises:
    UserError: A folder, device or pipe has that name.
  """
  if path.exists() and not path.is_file():
    raise UserError(f"{path} exists and is not a regular file; choose another path")
  if paths.is_remote(path):
    with io.BytesIO() as buffer:
      yield buffer
      path.write_bytes(buffer.getvalue())
    return
  partial = hidden_sibling(path, PARTIAL)
  with cleanup.removing(partial), partial.open("xb") as file:
    _hold(file)
    yield file
    file.flush()
    os.fsync(file.fileno())
    partial.replace(path)


@contextlib.contextmanager
def temporary_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Creates a folder and removes it with its contents at the end, also on a signal."""
  with cleanup.removing(path):
    path.mkdir(parents=True)
    yield path


def hidden_sibling(path: pathlib.Path, suffix: str) -> pathlib.Path:
  """Returns a unique hidden path in the folder of `path`, to be renamed to it later."""
  start = os.fsdecode(os.fsencode(path.name)[:100])  # names have at most 255 bytes
  return path.with_name(f".{start}.{os.urandom(8).hex()}{suffix}")


def _hold(file: BinaryIO) -> None:
  """Tells `remove_partial` that the writer is alive; the lock ends with its process."""
  with contextlib.suppress(OSError):  # not every file system has locks
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a text file atomically; see `replacing`."""
  with replacing(path) as file:
    file.write(text.encode("utf-8"))


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes a JSON file atomically; see `replacing`.

  Args:
    path: Path of the file; its folder exists.
    value: JSON-compatible value.
  """
  write_text(path, json.dumps(value, indent=2) + "\n")


def folder_named(text: str, option: str) -> pathlib.Path:
  """Returns the folder given by a command-line option; it need not exist.

  Args:
    text: The option's value.
    option: Name of the option with its dashes, for messages.

  Raises:
    UserError: The path is empty, too long, not text, leads through a broken link, or is in a bucket
      that cannot be read.
  """
  if not text.strip():
    raise UserError(f"{option} is empty; name a folder, or '.' for the current one")
  try:
    path = paths.path(text, f"{option}=")
  except RuntimeError:  # ~somebody
    raise UserError(f"{option}={text} is the home of an unknown user; name a folder") from None
  wrong = ""
  if printable(text) != text:
    wrong = "contains characters or bytes that are not text"
  elif any(len(part.encode()) > NAME_BYTES for part in path.parts):
    wrong = f"has a name of more than {NAME_BYTES} bytes"
  elif len(str(path.absolute()).encode()) > PATH_BYTES:
    wrong = f"is a path of more than {PATH_BYTES} bytes"
  else:
    links = [part for part in (path, *path.parents) if part.is_symlink() and not part.exists()]
    wrong = f"leads through {links[0]}, a broken link" if links else ""
  if wrong:
    shown = text if len(text) <= 100 else f"{text[:80]}..."
    raise UserError(f"{option}={shown} {wrong}; name another folder")
  return path


def make_workdir(workdir: pathlib.Path) -> None:
  """Creates a workdir and checks that files can be written into it.

  Raises:
    UserError: It cannot be created or written; the message says why.
  """
  with user_errors_for_writes(workdir):
    workdir.mkdir(parents=True, exist_ok=True)
    _try_writing(workdir)


def _try_writing(folder: pathlib.Path) -> None:
  """Writes a file into a folder and removes it; raises if it cannot."""
  if paths.is_remote(folder):
    probe = hidden_sibling(folder / "probe", "")
    probe.write_bytes(b"1")
    probe.unlink()
    return
  with tempfile.TemporaryFile(dir=folder) as file:
    file.write(b"1")


@contextlib.contextmanager
def made_workdir(workdir: pathlib.Path) -> Iterator[None]:
  """Creates a workdir; if the context ends with an error, removes new folders without files.

  A bucket has no such folders.

  Raises:
    UserError: It cannot be created or written; see `make_workdir`.
  """
  made = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
  make_workdir(workdir)
  if paths.is_remote(workdir):
    yield
    return
  before = set(workdir.iterdir())
  try:
    yield
  except BaseException:
    new = [folder for folder in workdir.glob("*/") if folder not in before]
    inner = [folder for each in new for folder in each.rglob("*/")]
    _remove_empty(*sorted(inner, reverse=True), *new, *made)
    raise


def _remove_empty(*folders: pathlib.Path) -> None:
  """Removes folders in this order, except those with something in them."""
  for folder in folders:
    with contextlib.suppress(OSError):
      folder.rmdir()


@contextlib.contextmanager
def user_errors_for_writes(workdir: pathlib.Path, kept: Callable[[], str] = str) -> Iterator[None]:
  """Turns failed writes inside the context, such as on a full disk, into UserErrors.

  Args:
    workdir: Folder being written. An error that names a file elsewhere, such as in the data set, is
      reported for that file.
    kept: Returns a sentence on what is still intact, for the message.
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
        f"{printable(place)} cannot be read or written: {_system_words(error)}. Give this user "
        f"access, or repair the disk or the file; {kept()}the same command then continues"
      ) from error
    raise UserError(
      f"cannot write to {workdir}: {reason}. {kept()}Free space or give this user access, or "
      "choose another --workdir; the same command then continues"
    ) from error


def _file_elsewhere(error: BaseException, workdir: pathlib.Path) -> str:
  """Returns the file that an error names, if it is not in the workdir; else ''."""
  names = [name for name in (getattr(error, "filename", None), getattr(error, "filename2", None))]
  # C++ libraries name it only in the message.
  names = [os.fsdecode(name) for name in names if isinstance(name, str | bytes)]
  if paths.is_remote(workdir):
    return names[0] if names and not paths.is_remote(names[0]) else ""
  names = names or re.findall(r"(?<![\w.])/[^\s'\":;,()\[\]]+", str(error))
  roots = {workdir.absolute(), workdir.resolve()}
  return (
    names[0] if names and not any(_related(pathlib.Path(name), roots) for name in names) else ""
  )


def _related(path: pathlib.Path, roots: set[pathlib.Path]) -> bool:
  """Returns whether a path is inside one of the folders, or contains one."""
  path = path.absolute()
  return any(path.is_relative_to(root) or root.is_relative_to(path) for root in roots)


def _system_words(error: BaseException) -> str:
  words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
  return printable(" ".join(words.split()))[:300]


def reason_of(error: BaseException) -> str | None:
  """Returns why a write failed, in words; None for any other kind of error."""
  if isinstance(error, OSError) and error.errno in REASONS:
    return REASONS[error.errno]
  found = [number for words, number in WORDS.items() if words in str(error)]
  return REASONS[found[0]] if found else paths.reason(error)


def remove_partial(*folders: pathlib.Path) -> None:
  """Removes partial files whose writers were killed; see `replacing`."""
  for folder in folders:
    for path in () if paths.is_remote(folder) else folder.glob(f".*{PARTIAL}"):
      with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a live writer holds it
        path.unlink()


@contextlib.contextmanager
def writing(path: pathlib.Path, option: str) -> Iterator[None]:
  """Turns failed writes of one file inside the context into UserErrors.

  Args:
    path: Path being written.
    option: Command-line option that sets it.
  """
  try:
    yield
  except Exception as error:
    reason = paths.reason(error)
    if reason is None and isinstance(error, OSError):
      reason = REASONS.get(error.errno, str(error))
    if reason is None:
      raise
    raise UserError(
      f"cannot write {path}: {reason}. Free space or give this user access, or choose another "
      f"{option}"
    ) from error


@contextlib.contextmanager
def new_file(path: pathlib.Path, option: str) -> Iterator[BinaryIO]:
  """Creates the folder of a file and opens the file for writing; see `replacing`.

  Args:
    path: Path of the file.
    option: Command-line option that sets it.
  """
  with writing(path, option):
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
      yield file


def check_file(path: pathlib.Path, option: str) -> None:
  """Raises UserError if `path` cannot be written as a file; see `check_writable`."""
  if path.exists() and not path.is_file():
    raise UserError(f"{option}={path} is not a regular file; choose another path")
  check_writable(path.absolute().parent, option)


def check_writable(folder: pathlib.Path, option: str) -> None:
  """Checks that a folder can be written, or the nearest existing folder above it.

  Called before minutes of work. It creates nothing, so a command that then refuses other input
  leaves nothing behind.

  Raises:
    UserError: It cannot be written; the message says why.
  """
  with writing(folder, option):
    while not folder.exists() and folder != folder.parent:
      folder = folder.parent
    _try_writing(folder)
