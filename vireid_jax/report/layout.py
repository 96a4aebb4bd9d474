"""Tables as Markdown and as LaTeX (booktabs), in percent."""

from vireid_jax.evaluators.results import METRICS
from vireid_jax.report.tables import NOT_RUN, Cell, Table

LATEX = {
  "\\": r"\textbackslash{}",
  "~": r"\textasciitilde{}",
  "^": r"\textasciicircum{}",
  **{letter: f"\\{letter}" for letter in "_%&#${}"},
}


def markdown(table: Table) -> str:
  """Lays a table out as Markdown."""
  head = ["run", "method", "runs"]
  head += [f"{block} {metric}" for block in table.blocks for metric in METRICS]
  lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3)]
  for row in table.rows:
    numbers = [text for block in table.blocks for text in texts(row.cells.get(block), " ± ")]
    lines.append([in_cell(row.run), in_cell(row.label), row.runs, *numbers])
  body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
  return f"### {table.title}\n\n{body}\n\n{table.note}\n"


def latex(table: Table) -> str:
  """Lays a table out as LaTeX; needs the package booktabs."""
  width = len(METRICS)
  columns = "lll" + "r" * (width * len(table.blocks))
  spans = [rf"\multicolumn{{{width}}}{{c}}{{{_escape(block)}}}" for block in table.blocks]
  lines = [
    f"% {table.title}",
    rf"\begin{{tabular}}{{{columns}}}",
    r"\toprule",
    " & ".join(["", "", "", *spans]) + r" \\",
    " & ".join(["run", "method", "runs", *METRICS * len(table.blocks)]) + r" \\",
    r"\midrule",
  ]
  for row in table.rows:
    cells = [row.cells.get(block) for block in table.blocks]
    numbers = [text for cell in cells for text in texts(cell, r" $\pm$ ")]
    words = [_escape(text) for text in (row.run, row.label, row.runs)]
    lines.append(" & ".join([*words, *numbers]) + r" \\")
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


def notes(lines: list[str]) -> str:
  """Lists what a report passes over as Markdown; '' without any."""
  return "### Not shown\n\n" + "".join(f"* {line}\n" for line in lines) if lines else ""


def in_cell(text: str) -> str:
  """Keeps a name from ending its cell of a Markdown table."""
  return text.replace("\\", "\\\\").replace("|", "\\|")


def _escape(text: str) -> str:
  return "".join(LATEX.get(letter, letter) for letter in text)
