"""Gallery pictures that a query's list leaves out: the same file, camera or folder."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from vireid_jax.common.errors import UserError, choose, printable, shown
from vireid_jax.retrieval import pictures
from vireid_jax.retrieval.cameras import Cameras, open_cameras
from vireid_jax.retrieval.searcher import Labels

FILE, CAMERA, FOLDER = RULES = ("same_file", "same_camera", "same_folder")


@dataclasses.dataclass(frozen=True)
class Exclusion:
  """Rules of the options --exclude and --cameras.

  Attributes:
    rules: Some of `RULES`, each once.
    cameras: Camera of a picture by its path; None without the rule 'same_camera'.
  """

  rules: tuple[str, ...] = ()
  cameras: Cameras | None = None

  def labels(
    self, queries: Sequence[pathlib.Path], gallery: Sequence[pathlib.Path]
  ) -> tuple[list[Labels], list[str]]:
    """Labels pictures for `Searcher`.

    Args:
      queries: Path of each query.
      gallery: Path of each gallery picture.

    Returns:
      Labels of each rule, and warnings.

    Raises:
      UserError: No picture has a known camera.
    """
    functions: dict[str, Callable] = {FILE: _file, FOLDER: _folder, CAMERA: self.cameras}
    found, warnings = [], []
    for rule in self.rules:
      sides = [[functions[rule](path) for path in side] for side in (queries, gallery)]
      if rule == CAMERA:
        warnings += _unknown(self.cameras, [*queries, *gallery], sides[0] + sides[1])
      found.append(_labels(*sides))
    return found, warnings


def parse(rules: str | None, cameras: str | None) -> Exclusion:
  """Reads the options --exclude and --cameras.

  Args:
    rules: Rules, separated by commas; None for none.
    cameras: Regular expression or CSV table; see `open_cameras`.

  Raises:
    UserError: A rule is unknown, or the cameras are missing, unused or not readable.
  """
  chosen = [] if rules is None else [rule.strip() for rule in rules.split(",")]
  for rule in chosen:
    choose(rule, RULES, said=f"--exclude has the unknown rule {shown(rule)}")
  if CAMERA in chosen and cameras is None:
    raise UserError(
      "--exclude same_camera needs the camera of each picture; give --cameras PATTERN, such as "
      "'_c([0-9]+)_', or --cameras TABLE.csv with the columns path and camera"
    )
  if cameras is not None and CAMERA not in chosen:
    raise UserError(
      f"--cameras={shown(cameras)} is not used; add --exclude same_camera, or omit --cameras"
    )
  known = None if cameras is None else open_cameras(cameras)
  return Exclusion(tuple(dict.fromkeys(chosen)), known)


def _file(path: pathlib.Path) -> Hashable:
  """Returns what all names of a file, such as links, have in common."""
  try:
    facts = os.stat(path)  # noqa: PTH116 (pathlib raises for some paths)
  except OSError:
    return None
  return facts.st_dev, facts.st_ino


def _folder(path: pathlib.Path) -> Hashable:
  return pictures.location(path).parent


def _labels(queries: Sequence[Hashable], gallery: Sequence[Hashable]) -> Labels:
  """Numbers equal values alike; None is -1."""
  numbers = {value: number for number, value in enumerate(dict.fromkeys([*queries, *gallery]))}
  numbers[None] = -1
  sides = [np.array([numbers[value] for value in side], np.int64) for side in (queries, gallery)]
  return Labels(*sides)


def _unknown(cameras: Cameras, paths: Sequence[pathlib.Path], found: Sequence) -> list[str]:
  """Returns a warning on pictures without a known camera.

  Raises:
    UserError: No picture has one.
  """
  missing = [path for path, camera in zip(paths, found, strict=True) if camera is None]
  if not missing:
    return []
  first = printable(str(missing[0]))
  if len(missing) == len(paths):
    raise UserError(
      f"--cameras={cameras} gives no picture a camera (first: {first}); {cameras.fix}"
    )
  return [
    f"no camera is known for {len(missing)} of {len(paths)} pictures (first: {first}); "
    "same_camera leaves none of them out"
  ]
