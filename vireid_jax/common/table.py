"""Tables as text: columns for a terminal, Markdown, LaTeX.

A table has a head, rows with one cell per column, and an alignment: one letter per column, 'l' for
words, 'r' for numbers. Cells are escaped, so that no name acts on a terminal or ends its cell.
"""

import textwrap
from collections.abc import Iterable, Sequence

from vireid_jax.common.errors import printable

Row = Sequence[str]

_ALIGNMENTS = {"l": "left", "r": "right"}


def plain(head: Row, rows: Iterable[Row], align: str, *, indent: str = "") -> str:
  """Draws columns two spaces apart, without rules.

  Args:
    head: Column names; () for none.
    rows: Cells of each row.
    align: 'l' or 'r' per column.
    indent: Text in front of each line.
  """
  # The head is passed as a row, since tabulate would widen the columns under a head.
  return textwrap.indent(_draw((), [*([head] if head else []), *rows], align, "plain"), indent)


def markdown(head: Row, rows: Iterable[Row], align: str) -> str:
  """Draws a Markdown table, padded so that it reads well in a terminal too.

  Args:
    head: Column names.
    rows: Cells of each row.
    align: 'l' or 'r' per column.
  """
  head, *rows = ([_in_cell(cell) for cell in row] for row in (head, *rows))
  return _draw(head, rows, align, "pipe")


def latex(
  head: Row, rows: Iterable[Row], align: str, *, groups: Sequence[tuple[str, int]] = ()
) -> str:
  """Draws a LaTeX table; needs the package booktabs.

  Args:
    head: Column names.
    rows: Cells of each row; '±' becomes a command.
    align: 'l' or 'r' per column.
    groups: (title, number of columns) of each cell in a line above the head.
  """
  import tabulate

  escapes = str.maketrans(tabulate.LATEX_ESCAPE_RULES)
  titles = [
    rf"\multicolumn{{{count}}}{{c}}{{{printable(title).translate(escapes)}}}" if title else ""
    for title, count in groups
  ]
  top = "\\toprule\n" + (f" {' & '.join(titles)} \\\\\n" if titles else "")
  text = _draw(head, rows, align, "latex_booktabs").replace("\\toprule\n", top, 1)
  return text.replace("±", r"$\pm$")


def _draw(head: Row, rows: Iterable[Row], align: str, form: str) -> str:
  import tabulate  # not every command draws a table

  return tabulate.tabulate(
    [list(map(printable, row)) for row in rows],
    headers=list(map(printable, head)),
    tablefmt=form,
    colalign=[_ALIGNMENTS[letter] for letter in align],
    disable_numparse=True,
  )


def _in_cell(text: str) -> str:
  """Escapes what would end a cell."""
  return printable(text).replace("\\", "\\\\").replace("|", "\\|")
