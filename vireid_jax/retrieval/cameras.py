"""Cameras of pictures, from their paths or from a table."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping

from vireid_jax.common.errors import UserError, printable, shown
from vireid_jax.data import regular_files
from vireid_jax.data.layout.own_listing import table_lines
from vireid_jax.retrieval import pictures

PATH, CAMERA = COLUMNS = ("path", "camera")


@dataclasses.dataclass(frozen=True)
class Pattern:
  """Cameras in the paths of pictures.

  Attributes:
    expression: Regular expression whose group 'camera', or first group, is the camera.
  """

  expression: re.Pattern
  fix = "the pattern must match the path, for example '_c([0-9]+)_' matches mine/0003_c6_1.png"

  def __call__(self, path: pathlib.Path) -> str | None:
    """Returns the camera of a picture: the last match in its absolute path; None if none."""
    group = "camera" if "camera" in self.expression.groupindex else 1
    found = [match[group] for match in self.expression.finditer(path.absolute().as_posix())]
    return next((camera for camera in reversed(found) if camera), None)

  def __str__(self) -> str:
    return shown(self.expression.pattern)


@dataclasses.dataclass(frozen=True)
class Table:
  """Cameras in a table.

  Attributes:
    path: Path of the table.
    cameras: Camera by the picture's path, absolute and without links in its folder.
  """

  path: pathlib.Path
  cameras: Mapping[pathlib.Path, str]
  fix = "its paths are relative to the table's folder"

  def __call__(self, path: pathlib.Path) -> str | None:
    """Returns the camera of a picture; None if it is not in the table."""
    return self.cameras.get(pictures.location(path))

  def __str__(self) -> str:
    return printable(str(self.path))


Cameras = Pattern | Table


def open_cameras(text: str) -> Cameras:
  """Reads the option --cameras.

  Args:
    text: Regular expression; or the path of a table, which ends in '.csv'.

  Raises:
    UserError: It is neither a valid expression with a group nor a readable table.
  """
  return _open_table(text) if text.lower().endswith(".csv") else _compile(text)


def _compile(text: str) -> Pattern:
  try:
    expression = re.compile(text)
  except (re.error, RecursionError, OverflowError) as error:
    raise UserError(
      f"--cameras={shown(text)} is not a regular expression: {error}; give one such as "
      "'_c([0-9]+)_', or a table whose name ends in .csv"
    ) from None
  if not expression.groups:
    raise UserError(
      f"--cameras={shown(text)} has no group; put the camera in brackets, as in '_c([0-9]+)_'"
    )
  return Pattern(expression)


def _open_table(text: str) -> Table:
  path = regular_files.expanded(text)
  try:
    lines = table_lines(path)
  except UserError as error:
    raise UserError(
      f"--cameras: {error}; give a table with the columns path and camera, or a regular expression"
    ) from error
  columns = [name.strip().lower() for name in lines[0][1]] if lines else []
  where = printable(str(path))
  for name in COLUMNS:
    if columns.count(name) != 1:
      raise UserError(
        f"--cameras={where} has {columns.count(name)} columns {name!r} in its first line; it needs "
        "one column path and one column camera, and may have others"
      )
  cameras: dict[pathlib.Path, str] = {}
  for number, values in lines[1:]:
    if len(values) != len(columns):
      raise UserError(
        f"--cameras={where}, line {number} has {len(values)} values, but the first line has "
        f"{len(columns)} columns"
      )
    row = dict(zip(columns, map(str.strip, values), strict=True))
    _add(cameras, path.parent / row[PATH], row[CAMERA], f"{where}, line {number}")
  return Table(path, cameras)


def _add(cameras: dict, path: pathlib.Path, camera: str, where: str) -> None:
  """Adds a line of the table; an empty camera is unknown."""
  if camera and cameras.setdefault(pictures.location(path), camera) != camera:
    raise UserError(
      f"--cameras={where}: {printable(str(path))} has the camera {shown(camera)} here and "
      f"{shown(cameras[pictures.location(path)])} above; keep one line"
    )
