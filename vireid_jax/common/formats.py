"""Tables for programs: CSV and JSON with typed values, and the unit of every column.

Rates are in [0, 1] here; tables for people are in percent, see `common.table`. A JSON document is

  {"format": 1, "command": ..., "units": {column: unit}, <facts>, "rows": [{column: value}]}

and keeps these names: a later version may add columns and facts. A column's name in the header of
CSV has the unit in it, such as `mAP_rate` and `median_seconds`; numbers without a unit are counts.
"""

import csv as csv_lib
import dataclasses
import io
import json as json_lib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vireid_jax.common.errors import printable
from vireid_jax.common.units import UNITS

TABLE, CSV, JSON, MARKDOWN, LATEX = "table", "csv", "json", "markdown", "latex"
FORMATS = (TABLE, CSV, JSON)
PAPER_FORMATS = (*FORMATS, MARKDOWN, LATEX)
FORMAT = 1  # of JSON documents


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of a table.

  Attributes:
    name: Key of its values, such as 'rank_1'.
    unit: Unit of its values, a key of `units.UNITS`; empty for words and counts.
  """

  name: str
  unit: str = ""

  @property
  def header(self) -> str:
    """Name in a CSV header, which has the unit."""
    return self.name if self.unit in self.name else f"{self.name}_{self.unit}"


def written(
  form: str,
  command: str,
  columns: Sequence[Column],
  rows: Iterable[Mapping[str, Any]],
  **facts: Any,
) -> str:
  """Writes rows as `csv`, or as `json` with the command's name and facts.

  Args:
    form: 'csv' or 'json'.
    command, columns, rows, facts: As of `json`.
  """
  return csv(columns, rows) if form == CSV else json(command, columns, rows, **facts)


def csv(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> str:
  """Writes rows as CSV with a header.

  Args:
    columns: Columns, in order.
    rows: Value by column name; absent values and None give empty cells. Invisible characters of
      names are escaped.
  """
  buffer = io.StringIO()
  writer = csv_lib.writer(buffer, lineterminator="\n")
  writer.writerow([column.header for column in columns])
  writer.writerows([_cell(row.get(column.name)) for column in columns] for row in rows)
  return buffer.getvalue().removesuffix("\n")


def json(
  command: str, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], **facts: Any
) -> str:
  """Writes rows as a JSON document; see the head of this file.

  Args:
    command: Name of the command, such as 'report'.
    columns: Columns, in order.
    rows: Value by column name; absent values are null.
    **facts: Further entries of the document.
  """
  document = {
    "format": FORMAT,
    "command": command,
    "units": units(columns),
    **facts,
    "rows": [{column.name: row.get(column.name) for column in columns} for row in rows],
  }
  return json_lib.dumps(_finite(document), indent=2)


def key(metric: str) -> str:
  """Returns the column name of a metric: 'rank_1' for 'rank-1'."""
  return metric.replace("-", "_")


def units(columns: Iterable[Column]) -> dict[str, str]:
  """Returns the explained unit of each column that has one."""
  return {column.name: UNITS[column.unit] for column in columns if column.unit}


def _cell(value: Any) -> Any:
  if isinstance(value, str):
    return printable(value)
  return "" if _finite(value) is None else value


def _finite(value: Any) -> Any:
  """Returns the value with None for what JSON cannot express: infinities and not-a-numbers."""
  if isinstance(value, float) and not math.isfinite(value):
    return None
  if isinstance(value, Mapping):
    return {key: _finite(each) for key, each in value.items()}
  if isinstance(value, list | tuple):
    return [_finite(each) for each in value]
  return value
