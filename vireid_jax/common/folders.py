"""Replacing a folder atomically: readers find the old or the new one, even after a kill.

In a bucket, whose folders cannot be renamed, files are replaced one by one; the one that marks the
folder as complete is removed first and written last.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator

from vireid_jax.common import files, interrupts, paths, progress

REPLACED = ".replaced"
AT_FDCWD = {"linux": -100, "darwin": -2}
EXCHANGE = 2  # the same flag for Linux's renameat2 and macOS's renameatx_np


@contextlib.contextmanager
def staged(target: pathlib.Path) -> Iterator[pathlib.Path]:
  """Creates a folder from which `put` can replace `target`, and removes it at the end."""
  if paths.is_remote(target):
    place = pathlib.Path(tempfile.gettempdir()) / f"vireid_jax_{os.urandom(8).hex()}"
  else:
    place = files.hidden_sibling(target, ".incomplete")
  with files.temporary_folder(place):
    yield place


def put(new: pathlib.Path, target: pathlib.Path, *, mark: str = "") -> None:
  """Moves a complete folder into place; a folder that was there gets the name of `new`.

  Args:
    new: Folder on the file system of `target`, or of this machine if that is in a bucket. The
      caller removes what has this name afterwards.
    target: Final path; its parent exists.
    mark: Name of the file without which the folder is not complete, if it has one.

  Raises:
    OSError: The folder cannot be renamed; the old one is in place.
  """
  if paths.is_remote(target):
    _upload(new, target, mark)
    return
  with interrupts.deferred():
    recover(target)
    if not target.exists():
      new.rename(target)
    elif not _exchange(new, target):
      _replace_in_two(new, target)


def remove(folder: pathlib.Path) -> None:
  """Removes a folder with its contents."""
  if paths.is_remote(folder):
    folder.rmtree()
  else:
    shutil.rmtree(folder)


def _upload(new: pathlib.Path, target: pathlib.Path, mark: str) -> None:
  if mark:
    (target / mark).unlink(missing_ok=True)
  target.rmtree(missing_ok=True)
  found = [path for path in sorted(new.rglob("*")) if path.is_file()]
  found.sort(key=lambda path: path == new / mark)  # stable: only the mark moves, to the end
  total = sum(path.stat().st_size for path in found)
  with progress.part(f"copying to {target}", total, "MB", scale=1e-6) as activity:
    for path in found:
      (target / path.relative_to(new).as_posix()).upload(path)
      activity.advance(path.stat().st_size)


def recover(target: pathlib.Path) -> bool:
  """Restores a folder that a killed `put` had moved away; returns whether it did."""
  if paths.is_remote(target):
    return False
  kept = _kept(target)
  if target.exists() or not kept.is_dir():
    return False
  with contextlib.suppress(OSError):  # another process may be faster
    kept.rename(target)
    return True
  return False


def moved_away(parent: pathlib.Path) -> list[pathlib.Path]:
  """Returns the paths in `parent` that `recover` may be able to restore."""
  if paths.is_remote(parent) or not parent.is_dir():
    return []
  found = parent.glob(f".*{REPLACED}")
  return [path.with_name(path.name[1 : -len(REPLACED)]) for path in found]


def _kept(target: pathlib.Path) -> pathlib.Path:
  return target.with_name(f".{target.name}{REPLACED}")


def _replace_in_two(new: pathlib.Path, target: pathlib.Path) -> None:
  """Renames twice where names cannot be exchanged; `recover` repairs a kill in between."""
  kept = _kept(target)
  shutil.rmtree(kept, ignore_errors=True)  # left by a kill after the second rename
  target.rename(kept)
  try:
    new.rename(target)
  except OSError:
    recover(target)
    raise
  kept.rename(new)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
  """Exchanges two names atomically; returns whether the system can."""
  here = AT_FDCWD.get(sys.platform)
  library = ctypes.CDLL(None)
  function = getattr(library, "renameat2", None) or getattr(library, "renameatx_np", None)
  if here is None or function is None:
    return False
  return function(here, os.fsencode(one), here, os.fsencode(other), EXCHANGE) == 0
