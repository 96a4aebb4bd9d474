"""Replacing a folder atomically: readers find the old or the new one, even after a kill."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import sys

from vireid_jax.common import interrupts

REPLACED = ".replaced"
AT_FDCWD = {"linux": -100, "darwin": -2}
EXCHANGE = 2  # the same flag for Linux's renameat2 and macOS's renameatx_np


def put(new: pathlib.Path, target: pathlib.Path) -> None:
  """Moves a complete folder into place; a folder that was there gets the name of `new`.

  Args:
    new: Folder on the file system of `target`. The caller removes what has this name afterwards.
    target: Final path; its parent exists.

  Raises:
    OSError: The folder cannot be renamed; the old one is in place.
  """
  with interrupts.deferred():
    recover(target)
    if not target.exists():
      new.rename(target)
    elif not _exchange(new, target):
      _replace_in_two(new, target)


def recover(target: pathlib.Path) -> bool:
  """Restores a folder that a killed `put` had moved away; returns whether it did."""
  kept = _kept(target)
  if target.exists() or not kept.is_dir():
    return False
  with contextlib.suppress(OSError):  # another process may be faster
    kept.rename(target)
    return True
  return False


def moved_away(parent: pathlib.Path) -> list[pathlib.Path]:
  """Returns the paths in `parent` that `recover` may be able to restore."""
  found = parent.glob(f".*{REPLACED}") if parent.is_dir() else ()
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
