"""The headline of a report: a row per item, for the setting that is usually quoted."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vireid_jax.common import formats, table, terminal
from vireid_jax.common.errors import printable
from vireid_jax.common.formats import Column
from vireid_jax.evaluators.results import CHANCE, METRICS
from vireid_jax.report import naming, records, tables
from vireid_jax.report.untrained import Untrained

SHOWN = ("rank-1", "rank-10", "mAP", "mINP")
COLUMNS = (
  *map(Column, ("data", "setting", "run", "method", "ranking", "runs", "trials", "spread_over")),
  *(Column(formats.key(name), "rate") for name in METRICS),
  *(Column(f"{formats.key(name)}_std", "rate") for name in METRICS),
  Column("transductive"),
  *(Column(f"untrained_{formats.key(name)}", "rate") for name in METRICS),
  *(Column(f"chance_{formats.key(name)}", "rate") for name in CHANCE),
)


class Line(NamedTuple):
  """A row of the table for people."""

  run: str
  label: str
  runs: str
  cell: tables.Cell


def rows(items: list[str], found: Sequence[tables.Table]) -> list[dict]:
  """Returns the values of `COLUMNS` for each row and block of the tables of some items."""
  untrained = Untrained(items)
  return [
    {
      "data": each.title,
      "setting": block,
      "run": row.run,
      "method": row.label,
      "ranking": row.kind,
      "runs": row.runs,
      "trials": cell.trials,
      "spread_over": cell.over,
      **{formats.key(name): rate for name, rate in cell.mean.items()},
      **{f"{formats.key(name)}_std": rate for name, rate in cell.std.items()},
      "transductive": each.transductive,
      **_prefixed("untrained", before.mean if (before := untrained.cell(each, row, block)) else {}),
      **_prefixed("chance", cell.chance),
    }
    for each in found
    for row in each.rows
    for block, cell in row.cells.items()
  ]


def _prefixed(prefix: str, rates: Mapping[str, float]) -> dict[str, float]:
  return {f"{prefix}_{formats.key(name)}": rate for name, rate in rates.items()}


def render(items: list[str], found: Sequence[tables.Table], *, step: int | None = None) -> str:
  """Draws a row per item in percent: the first setting that it has, ranked plainly.

  Under it is a row of the same networks before training, and under each table one of a random order
  of the gallery, as far as the records have them.

  Args:
    items: Items of the report.
    found: Tables of the items.
    step: Step of the checkpoints; None for the latest.
  """
  names, untrained = naming.shortest(items), Untrained(items)
  groups: dict[str, list[Line]] = {}
  for item in items:
    for each, block in _first(item, found, step):
      for row in each.rows:
        if row.item == item and row.kind == "plain" and block in row.cells:
          lines = groups.setdefault(f"{each.title}: {block}", [])
          lines.append(Line(printable(names[item]), row.label, row.runs, row.cells[block]))
          if before := untrained.cell(each, row, block):
            lines.append(Line("", "untrained", "", before))
          break
  return "\n\n".join(
    f"{terminal.fitted(title, sys.stdout)}\n{_draw(lines, terminal.table_width(sys.stdout))}"
    for title, lines in groups.items()
  )


def _first(item: str, found, step: int | None) -> list[tuple[tables.Table, str]]:
  """Returns the table and block of an item's first plain setting; [] without one."""
  for run in records.find(item, step=step):
    for name, result in run.results.items():
      block, *variant = result.conditions.get("setting", name).split("/")
      for each in found:
        has = any(
          row.item == item and row.kind == "plain" and block in row.cells for row in each.rows
        )
        if has and each.variant == ", ".join(variant) and tables.kind(result.conditions) == "plain":
          return [(each, block)]
  return []


def _draw(lines: Sequence[Line], width: int) -> str:
  """Draws the rows with as many digits as fit."""
  head = ("run", "method", *SHOWN, "trials", "runs")
  for digits, spread in ((2, True), (1, True), (1, False)):
    cells = [
      (line.run, line.label, *_rates(line.cell, digits, spread), str(line.cell.trials), line.runs)
      for line in lines
    ]
    cells += _chance(lines, digits)
    text = table.plain(head, cells, "ll" + "r" * (len(head) - 3) + "l")
    if max(map(len, text.splitlines())) <= width:
      break
  return text


def _chance(lines: Sequence[Line], digits: int) -> list[tuple[str, ...]]:
  """Returns a row of a random order of the gallery; [] if a record does not have it."""
  found = [line.cell.chance for line in lines if line.runs]  # not of untrained networks
  if not all(found):
    return []
  rates = {name: statistics.fmean(each[name] for each in found) for name in CHANCE}
  cells = (f"{100 * rates[name]:.{digits}f}" if name in rates else "" for name in SHOWN)
  return [("", "chance", *cells, "", "")]


def _rates(cell: tables.Cell, digits: int, spread: bool) -> list[str]:
  return [
    f"{100 * cell.mean[name]:.{digits}f}"
    + (f" ± {100 * cell.std[name]:.{digits}f}" if spread and cell.std else "")
    for name in SHOWN
  ]
