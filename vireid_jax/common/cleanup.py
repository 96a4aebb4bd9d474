"""Cleaning up when the process ends, however it ends: unfinished files and child processes.

This module imports nothing slow and nothing else of the package, as `common.interrupts` needs it.
"""

import contextlib
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator

FLUSHING = 0.5  # seconds at most

# Global, because they belong to the process.
_left: set[pathlib.Path] = set()
_children: list = []
_last: list[Callable[[], None]] = []


@contextlib.contextmanager
def removing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Removes a file or folder at the end of the context, or of the process; it need not exist.

  It is registered before it is created, so that a signal never leaves it behind.
  """
  _left.add(path)
  try:
    yield path
  finally:
    _remove(path)
    _left.discard(path)  # not reached if a signal interrupts the removal: `remove_left` repeats it


@contextlib.contextmanager
def child(process) -> Iterator[None]:
  """Registers a `subprocess.Popen` to be terminated if this process is ended by force."""
  _children.append(process)
  try:
    yield
  finally:
    _children.remove(process)


def on_end(function: Callable[[], None]) -> None:
  """Registers what is called before the process is ended by force, such as erasing a bar."""
  _last.append(function)


def end(code: int) -> None:
  """Ends the process and its children at once, and removes what `removing` registered."""
  try:
    for process in (*_children, *_workers()):
      with contextlib.suppress(Exception):
        process.terminate()
    remove_left()
    # In a thread, because the main thread may hold a stream's lock, blocked by a slow reader.
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(FLUSHING)
  finally:
    os._exit(code)


def _flush() -> None:
  for function in _last:
    with contextlib.suppress(Exception):
      function()
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(Exception):
      stream.flush()


def _workers() -> list:
  if "multiprocessing" not in sys.modules:
    return []
  import multiprocessing

  return multiprocessing.active_children()


def remove_left() -> None:
  """Removes what `removing` registered and has not removed yet."""
  for path in list(_left):
    _remove(path)


def _remove(path: pathlib.Path) -> None:
  if os.path.isdir(path) and not path.is_symlink():  # noqa: PTH112 (pathlib raises for odd names)
    import shutil  # here, because it takes as long to import as the rest of this module

    for _ in range(3):  # the main thread may still be writing there
      shutil.rmtree(path, ignore_errors=True)
      if not path.exists():
        break
  else:
    with contextlib.suppress(OSError):
      path.unlink()
