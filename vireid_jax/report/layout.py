"""Tables as Markdown and as LaTeX (booktabs), in percent."""

from vireid_jax.evaluators.results import METRICS
from vireid_jax.report.tables import NOT_RUN, Cell, Table


def markdown(table: Table) -> str:
  """Lays a table out as Markdown."""
  head = ["method", "runs"]
  head += [f"{block} {metric}" for block in table.blocks for metric in METRICS]
  lines = [head, ["---", "---"] + ["---:"] * (len(head) - 2)]
  for row in table.rows:
    numbers = [text for block in table.blocks for text in texts(row.cells.get(block), " ± ")]
    lines.append([row.label, row.runs, *numbers])
  body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
  return f"### {table.title}\n\n{body}\n\n{table.note}\n"


def latex(table: Table) -> str:
  """Lays a table out as LaTeX; needs the package booktabs."""
  width = len(METRICS)
  columns = "ll" + "r" * (width * len(table.blocks))
  spans = [rf"\multicolumn{{{width}}}{{c}}{{{_escape(block)}}}" for block in table.blocks]
  lines = [
    f"% {table.title}",
    rf"\begin{{tabular}}{{{columns}}}",
    r"\toprule",
    " & ".join(["", "", *spans]) + r" \\",
    " & ".join(["method", "runs", *METRICS * len(table.blocks)]) + r" \\",
    r"\midrule",
  ]
  for row in table.rows:
    cells = [row.cells.get(block) for block in table.blocks]
    numbers = [text for cell in cells for text in texts(cell, r" $\pm$ ")]
    lines.append(" & ".join([_escape(row.label), _escape(row.runs), *numbers]) + r" \\")
  note = table.note.replace("±", r"$\pm$")
  return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", f"% {note}"]) + "\n"


def texts(cell: Cell | None, plus_minus: str) -> list[str]:
  """Returns a cell's metrics in percent, with their deviations where there are any."""
  if cell is None:
    return [NOT_RUN] * len(METRICS)
  return [
    f"{100 * cell.mean[name]:.2f}" + (f"{plus_minus}{100 * cell.std[name]:.2f}" if cell.std else "")
    for name in METRICS
  ]


def _escape(text: str) -> str:
  return text.replace("\\", r"\textbackslash{}").replace("_", r"\_").replace("%", r"\%")
