"""Replacing a folder as a whole: a reader, or a killed process's successor, finds old or new."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import sys

from vireid_jax.common import interrupts

REPLACED = ".replaced"
AT_FDCWD = {"linux": -100, "darwin": -2}
EXCHANGE = 2  # of Linux's renameat2 and of macOS's renameatx_np alike


def put(new: pathlib.Path, target: pathlib.Path) -> None:
  """Gives a complete folder its name; an older one of that name ends under the name of `new`.

  Args:
    new: on the file system of `target`; its owner removes what is there afterwards.
    target: where it belongs; its parent exists.

  Raises:
    OSError: it cannot be renamed; the old folder is in its place.
  """
  with interrupts.deferred():
    recover(target)
    if not target.exists():
      new.rename(target)
    elif not _exchange(new, target):
      _replace_in_two(new, target)


def recover(target: pathlib.Path) -> bool:
  """Gives a folder its name back that a killed `put` had moved away; returns whether it did."""
  kept = _kept(target)
  if target.exists() or not kept.is_dir():
    return False
  with contextlib.suppress(OSError):  # another process may be faster
    kept.rename(target)
    return True
  return False


def moved_away(parent: pathlib.Path) -> list[pathlib.Path]:
  """Returns the names below `parent` that `recover` may know something about."""
  found = parent.glob(f".*{REPLACED}") if parent.is_dir() else ()
  return [path.with_name(path.name[1 : -len(REPLACED)]) for path in found]


def _kept(target: pathlib.Path) -> pathlib.Path:
  return target.with_name(f".{target.name}{REPLACED}")


def _replace_in_two(new: pathlib.Path, target: pathlib.Path) -> None:
  """For file systems that cannot exchange two names: `recover` mends a kill in between."""
  kept = _kept(target)
  shutil.rmtree(kept, ignore_errors=True)  # of a kill after the second renaming
  target.rename(kept)
  try:
    new.rename(target)
  except OSError:
    recover(target)
    raise
  kept.rename(new)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
  """Exchanges two names at once; returns whether the system can."""
  here = AT_FDCWD.get(sys.platform)
  library = ctypes.CDLL(None)
  function = getattr(library, "renameat2", None) or getattr(library, "renameatx_np", None)
  if here is None or function is None:
    return False
  return function(here, os.fsencode(one), here, os.fsencode(other), EXCHANGE) == 0
