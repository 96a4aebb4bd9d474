"""Finds the folder that the user meant: the one with the owner's folders."""

import itertools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.data.layout.problems import shown

LEVELS = 3  # how far up and down to search for the right folder
MOST_FOLDERS = 2000  # searched at most; a tree of images has many


def existing_root(root, first_folders: Sequence[str]) -> pathlib.Path:
  """Returns `root` as a path, after checking that it contains `first_folders`.

  Raises:
    UserError: A folder is missing; the message names it, and a folder above or below that has them
      all.
  """
  root = existing_folder(root, f"{first_folders[0]}/")
  missing = [folder for folder in first_folders if not (root / folder).is_dir()]
  if missing:
    where = shown(str(root))
    raise UserError(f"{where} has no folder {missing[0]}/. {_advice(root, first_folders)}")
  return root


def existing_folder(root, content: str) -> pathlib.Path:
  """Returns `root` as a path, after checking that it is a folder.

  Args:
    root: Path of the folder.
    content: What the folder must hold, for the error.
  """
  root = regular_files.expanded(root)
  if not os.path.isdir(root):  # noqa: PTH112 (pathlib raises for texts that cannot be a path)
    raise UserError(f"{shown(str(root))} is not a folder. Pass the folder that holds {content}.")
  return root


def nearest_folder(
  root: pathlib.Path, holds: Callable[[pathlib.Path], bool]
) -> pathlib.Path | None:
  """Returns the nearest folder above or below `root` for which `holds` is true, or None."""
  return next((place for place in _around(root)[1:] if holds(place)), None)


def _advice(root: pathlib.Path, wanted: Sequence[str]) -> str:
  whole = nearest_folder(root, lambda place: all((place / name).is_dir() for name in wanted))
  if whole:
    return f"{printable(str(whole))} has one: pass that folder instead."
  near = _around(root)[1:]
  parts = [
    f"{name}/ is in {printable(str(place))}"
    for name in wanted
    if not (root / name).is_dir()
    for place in near
    if (place / name).is_dir()
  ]
  if parts:
    return f"{parts[0]}: move it here, next to the other folders of the data set, or link it."
  found = sorted(shown(path.name) + "/" * path.is_dir() for path in root.iterdir())
  listing = ", ".join(found[:12]) + (", ..." if len(found) > 12 else "")
  return f"It holds: {listing or 'nothing'}. The expected layout is described in docs/datasets.md."


def _around(root: pathlib.Path) -> list[pathlib.Path]:
  """Returns the folder, then the folders below it, then those above it, nearest first."""
  above = list(itertools.islice(root.absolute().parents, LEVELS))
  return [root, *itertools.islice(_below(root), MOST_FOLDERS), *above]


def _below(root: pathlib.Path) -> Iterator[pathlib.Path]:
  level = [root]
  for _ in range(LEVELS):
    level = [path for place in level for path in _folders(place)]
    yield from level
    if len(level) > MOST_FOLDERS:
      return


def _folders(place: pathlib.Path) -> list[pathlib.Path]:
  try:
    return sorted(path for path in place.iterdir() if path.is_dir() and path.name[0] != ".")
  except OSError:  # not readable by this user
    return []
