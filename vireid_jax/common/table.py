"""Tables as text: columns for a terminal, Markdown, LaTeX.

A table is a head, rows of as many cells, and an alignment: a letter per column, 'l' for words and
'r' for numbers. Names in cells are escaped, so that none acts on a terminal or ends its cell.
"""

import textwrap
from collections.abc import Iterable, Sequence

from vireid_jax.common.errors import printable

Row = Sequence[str]

_ALIGNMENTS = {"l": "left", "r": "right"}


def plain(head: Row, rows: Iterable[Row], align: str, *, indent: str = "") -> str:
  """Draws columns two spaces apart, without rules.

  Args:
    head: names of the columns; () for none.
    rows: cells.
    align: 'l' or 'r' per column.
    indent: in front of each line.
  """
  # The head as a row like the others: tabulate would widen the columns under it.
  return textwrap.indent(_draw((), [*([head] if head else []), *rows], align, "plain"), indent)


def markdown(head: Row, rows: Iterable[Row], align: str) -> str:
  """Draws a Markdown table, padded so that it reads well in a terminal too.

  Args:
    head: names of the columns.
    rows: cells.
    align: 'l' or 'r' per column.
  """
  head, *rows = ([_in_cell(cell) for cell in row] for row in (head, *rows))
  return _draw(head, rows, align, "pipe")


def latex(
  head: Row, rows: Iterable[Row], align: str, *, groups: Sequence[tuple[str, int]] = ()
) -> str:
  """Draws a LaTeX table; needs the package booktabs.

  Args:
    head: names of the columns.
    rows: cells; '±' becomes a command.
    align: 'l' or 'r' per column.
    groups: (title, number of columns) of a line above the head.
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
  """Keeps a name from ending its cell."""
  return printable(text).replace("\\", "\\\\").replace("|", "\\|")
