"""The headline of a report: a row per item, for the setting that is usually quoted."""

from collections.abc import Sequence

from vireid_jax.common import formats, table
from vireid_jax.common.errors import printable
from vireid_jax.common.formats import Column
from vireid_jax.evaluators.results import METRICS
from vireid_jax.report import naming, records, tables

SHOWN = ("rank-1", "rank-10", "mAP", "mINP")
WIDTH = 100
COLUMNS = (
  *map(Column, ("data", "setting", "run", "method", "ranking", "runs", "trials", "spread_over")),
  *(Column(formats.key(name), "rate") for name in METRICS),
  *(Column(f"{formats.key(name)}_std", "rate") for name in METRICS),
  Column("transductive"),
)


def rows(found: Sequence[tables.Table]) -> list[dict]:
  """Returns the values of `COLUMNS` for each row and block of some tables."""
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
    }
    for each in found
    for row in each.rows
    for block, cell in row.cells.items()
  ]


def render(items: list[str], found: Sequence[tables.Table], *, step: int | None = None) -> str:
  """Draws a row per item in percent: the first setting that it has, ranked plainly.

  Args:
    items: Items of the report.
    found: Tables of the items.
    step: Step of the checkpoints; None for the latest.
  """
  names = naming.shortest(items)
  groups: dict[str, list[tuple[str, tables.Row, tables.Cell]]] = {}
  for item in items:
    for each, block in _first(item, found, step):
      for row in each.rows:
        if row.item == item and row.kind == "plain" and block in row.cells:
          groups.setdefault(f"{each.title}: {block}", []).append(
            (printable(names[item]), row, row.cells[block])
          )
          break
  return "\n\n".join(f"{title}\n{_draw(lines)}" for title, lines in groups.items())


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


def _draw(lines) -> str:
  head = ("run", "method", *SHOWN, "trials", "runs")
  for digits, spread in ((2, True), (1, True), (1, False)):
    cells = [
      (name, row.label, *_rates(cell, digits, spread), str(cell.trials), row.runs)
      for name, row, cell in lines
    ]
    text = table.plain(head, cells, "ll" + "r" * (len(head) - 3) + "l")
    if max(map(len, text.splitlines())) <= WIDTH:
      break
  return text


def _rates(cell: tables.Cell, digits: int, spread: bool) -> list[str]:
  return [
    f"{100 * cell.mean[name]:.{digits}f}"
    + (f" ± {100 * cell.std[name]:.{digits}f}" if spread and cell.std else "")
    for name in SHOWN
  ]
