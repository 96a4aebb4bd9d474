"""Tables as Markdown and LaTeX, in percent."""

from vireid_jax.common import table as table_lib
from vireid_jax.evaluators.results import METRICS
from vireid_jax.report.tables import NOT_RUN, Cell, Table

HEAD = ("run", "method", "runs")


def markdown(table: Table) -> str:
  """Formats a table as Markdown."""
  head = [*HEAD, *(f"{block} {metric}" for block in table.blocks for metric in METRICS)]
  body = table_lib.markdown(head, _rows(table), _alignment(table))
  return f"### {table.heading}\n\n{body}\n\n{table.note}\n"


def latex(table: Table) -> str:
  """Formats a table as LaTeX, which needs the package booktabs."""
  head = [*HEAD, *METRICS * len(table.blocks)]
  groups = [*((("", 1),) * len(HEAD)), *((block, len(METRICS)) for block in table.blocks)]
  body = table_lib.latex(head, _rows(table), _alignment(table), groups=groups)
  note = table.note.replace("±", r"$\pm$")
  return f"% {table.heading}\n{body}\n% {note}\n"


def _rows(table: Table) -> list[list[str]]:
  return [
    [
      row.run,
      row.label,
      row.runs,
      *(x for block in table.blocks for x in texts(row.cells.get(block))),
    ]
    for row in table.rows
  ]


def _alignment(table: Table) -> str:
  return "l" * len(HEAD) + "r" * (len(METRICS) * len(table.blocks))


def texts(cell: Cell | None) -> list[str]:
  """Returns a cell's metrics in percent, with standard deviations if it has any."""
  if cell is None:
    return [NOT_RUN] * len(METRICS)
  return [
    f"{100 * cell.mean[name]:.2f}" + (f" ± {100 * cell.std[name]:.2f}" if cell.std else "")
    for name in METRICS
  ]


def notes(lines: list[str]) -> str:
  """Formats notes on what a report does not show as Markdown; '' if there are none."""
  return "### Not shown\n\n" + "".join(f"* {line}\n" for line in lines) if lines else ""
