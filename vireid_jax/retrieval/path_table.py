"""Tables in CSV files that give a value to pictures by their path."""

import dataclasses
import pathlib
from collections.abc import Mapping

from vireid_jax.common.errors import UserError, printable, shown
from vireid_jax.data import regular_files
from vireid_jax.data.layout.own_listing import table_lines
from vireid_jax.retrieval import pictures

PATH = "path"


@dataclasses.dataclass(frozen=True)
class PathTable:
  """A value of pictures.

  Attributes:
    path: Path of the table.
    column: Name of the column of values.
    values: Value by the picture's path, absolute and without links in its folder.
  """

  path: pathlib.Path
  column: str
  values: Mapping[pathlib.Path, str]
  fix = "its paths are relative to the table's folder"

  def __call__(self, path: pathlib.Path) -> str | None:
    """Returns the value of a picture; None if it is not in the table."""
    return self.values.get(pictures.location(path))

  def __str__(self) -> str:
    return printable(str(self.path))


def open_table(text: str, column: str, option: str, otherwise: str = "") -> PathTable:
  """Reads a table with the columns path and `column`; others are ignored.

  Args:
    text: Path of the table.
    column: Name of the column.
    option: Option that names the table, for messages.
    otherwise: What else the option allows, for messages; '' for nothing.

  Raises:
    UserError: The table is not readable, or gives a picture two values.
  """
  path = regular_files.expanded(text)
  try:
    lines = table_lines(path)
  except UserError as error:
    raise UserError(
      f"{option}: {error}; give a table with the columns path and {column}{otherwise}"
    ) from error
  columns = [name.strip().lower() for name in lines[0][1]] if lines else []
  where = printable(str(path))
  for name in (PATH, column):
    if columns.count(name) != 1:
      raise UserError(
        f"{option}={where} has {columns.count(name)} columns {name!r} in its first line; it needs "
        f"one column path and one column {column}, and may have others"
      )
  found: dict[pathlib.Path, str] = {}
  for number, values in lines[1:]:
    if len(values) != len(columns):
      raise UserError(
        f"{option}={where}, line {number} has {len(values)} values, but the first line has "
        f"{len(columns)} columns"
      )
    row = dict(zip(columns, map(str.strip, values), strict=True))
    place, value = pictures.location(path.parent / row[PATH]), row[column]
    if value and found.setdefault(place, value) != value:  # an empty value is unknown
      raise UserError(
        f"{option}={where}, line {number}: {printable(str(path.parent / row[PATH]))} has the "
        f"{column} {shown(value)} here and {shown(found[place])} above; keep one line"
      )
  return PathTable(path, column, found)
