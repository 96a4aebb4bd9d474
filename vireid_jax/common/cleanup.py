"""What ends with the process, however it ends: unfinished files and folders, and its children.

Nothing here imports the rest of the package, or anything slow, as in `common.interrupts`.
"""

import contextlib
import os
import pathlib
import sys
import threading
from collections.abc import Iterator

FLUSHING = 0.5  # seconds at most

# Of the process, of which there is one.
_left: set[pathlib.Path] = set()
_children: list = []


@contextlib.contextmanager
def removing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Removes a file or folder at the end, however the end comes; it need not exist.

  Named before it is made, so that no moment is left in which a signal leaves it behind.
  """
  _left.add(path)
  try:
    yield path
  finally:
    _remove(path)
    _left.discard(path)  # kept where a signal came into the removal: `remove_left` repeats it


@contextlib.contextmanager
def child(process) -> Iterator[None]:
  """Names a `subprocess.Popen` that a forced end of this one terminates."""
  _children.append(process)
  try:
    yield
  finally:
    _children.remove(process)


def end(code: int) -> None:
  """Ends the process at once, with its children, and removes what `removing` named."""
  try:
    for process in (*_children, *_workers()):
      with contextlib.suppress(Exception):
        process.terminate()
    remove_left()
    # The main thread may hold the lock of a stream whose reader does not read.
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(FLUSHING)
  finally:
    os._exit(code)


def _flush() -> None:
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(Exception):
      stream.flush()


def _workers() -> list:
  if "multiprocessing" not in sys.modules:
    return []
  import multiprocessing

  return multiprocessing.active_children()


def remove_left() -> None:
  """Removes what `removing` named and has not removed."""
  for path in list(_left):
    _remove(path)


def _remove(path: pathlib.Path) -> None:
  if os.path.isdir(path) and not path.is_symlink():  # noqa: PTH112 (pathlib raises for odd names)
    import shutil  # here, because it takes as long to import as the rest of this module

    for _ in range(3):  # in a forced end the main thread may still be writing there
      shutil.rmtree(path, ignore_errors=True)
      if not path.exists():
        break
  else:
    with contextlib.suppress(OSError):
      path.unlink()
