"""Files that grow while a command runs: lines, event files and logs.

An object in a bucket cannot grow. It is written again as a whole, but not often; what was added
since is lost if the process is killed. `sync` writes everything.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

from vireid_jax.common import cleanup, paths

EVERY = 20.0  # seconds between two writes of a growing object


class Lines:
  """A text file to which lines are added; a broken last line is completed first."""

  def __init__(self, path: pathlib.Path):
    """Opens the file for appending; its folder exists."""
    with path.open("a+b") as file:
      if file.tell():
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
          file.write(b"\n")
    self._file = path.open("a")

  def write(self, text: str) -> None:
    """Adds text, and hands it to the system."""
    self._file.write(text)
    self._file.flush()

  def sync(self) -> None:
    """Writes to the disk, so that the text survives a power loss."""
    os.fsync(self._file.fileno())

  def close(self) -> None:
    """Closes the file."""
    self._file.close()


class BucketLines:
  """`Lines` of an object in a bucket."""

  def __init__(self, path: pathlib.Path):
    """Reads the object, if there is one."""
    self._path = path
    self._data = bytearray(path.read_bytes() if path.exists() else b"")
    if self._data and not self._data.endswith(b"\n"):
      self._data += b"\n"
    self._written, self._time = len(self._data), time.monotonic()

  def write(self, text: str) -> None:
    """Adds text, which is written at the latest by `sync`."""
    self._data += text.encode("utf-8")
    if time.monotonic() - self._time >= EVERY:
      self.sync()

  def sync(self) -> None:
    """Writes the object."""
    if self._written < len(self._data):
      self._path.write_bytes(bytes(self._data))
    self._written, self._time = len(self._data), time.monotonic()

  def close(self) -> None:
    """Writes the object."""
    self.sync()


def open_lines(path: pathlib.Path) -> Lines | BucketLines:
  """Opens a text file for adding lines."""
  return BucketLines(path) if paths.is_remote(path) else Lines(path)


class Mirror:
  """A folder of this machine whose files are copied into a bucket; for any other, that folder.

  Attributes:
    folder: Folder for libraries that write only files of this machine. If `target` is in a bucket,
      a temporary one, removed at the end; that of a killed process by the next one for the target.
  """

  def __init__(self, target: pathlib.Path):
    """Creates the temporary folder, if one is needed."""
    self._target, self._sizes, self._time = target, {}, time.monotonic()
    self._stack, self.folder = contextlib.ExitStack(), target
    if paths.is_remote(target):
      place = _place_for(target)
      self.folder = self._stack.enter_context(cleanup.removing(place))
      self.folder.mkdir(parents=True)
      self._stack.enter_context(_held(place))

  def update(self) -> None:
    """Copies files that have grown, unless that was done a moment ago."""
    if time.monotonic() - self._time >= EVERY:
      self.sync()

  def sync(self) -> None:
    """Copies files that have grown."""
    if self.folder == self._target:
      return
    self._time = time.monotonic()
    for path in sorted(self.folder.rglob("*")):
      name = path.relative_to(self.folder).as_posix()
      if path.is_file() and self._sizes.get(name) != path.stat().st_size:
        (self._target / name).upload(path)
        self._sizes[name] = path.stat().st_size

  def close(self) -> None:
    """Copies what is left and removes the temporary folder."""
    with self._stack:
      self.sync()


def _place_for(target: pathlib.Path) -> pathlib.Path:
  """Names a temporary folder for a target, and removes those that killed processes left for it."""
  root = pathlib.Path(tempfile.gettempdir())
  name = f"vireid_jax_{hashlib.sha256(str(target).encode()).hexdigest()[:16]}"
  for left in root.glob(f"{name}_*"):
    with contextlib.suppress(OSError), _held(left):  # an error: another process holds it
      shutil.rmtree(left)
  return root / f"{name}_{os.urandom(4).hex()}"


@contextlib.contextmanager
def _held(folder: pathlib.Path) -> Iterator[None]:
  """Locks a folder until the end of the context, or of the process.

  Raises:
    OSError: Another process holds it, or it is not there.
  """
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield
  finally:
    os.close(descriptor)


@contextlib.contextmanager
def log(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the path of a log on this machine, which is copied to `path` at the end.

  Args:
    path: Path of the log; its folder exists.
  """
  with contextlib.closing(Mirror(path.parent)) as mirror:
    yield mirror.folder / path.name
