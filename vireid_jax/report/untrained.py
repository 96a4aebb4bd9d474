"""The results of the same networks before their training."""

import re

from vireid_jax.common.errors import UserError
from vireid_jax.report import tables
from vireid_jax.report.tables import Cell, Row, Table


class Untrained:
  """The results of the networks of some items before their first step."""

  def __init__(self, items: list[str]):
    """Reads the records of step 0.

    Args:
      items: Items of the report.
    """
    try:
      found = tables.build(items, step=0)
    except UserError:  # nothing was evaluated at step 0
      found = []
    self._cells = {
      (*_key(each, row), block): cell
      for each in found
      for row in each.rows
      for block, cell in row.cells.items()
    }

  def cell(self, each: Table, row: Row, block: str) -> Cell | None:
    """Returns the same runs' numbers before training; None if there are none, or of step 0."""
    cell = self._cells.get((*_key(each, row), block))
    return None if cell == row.cells.get(block) else cell


def _key(each: Table, row: Row) -> tuple:
  # A checkpoint of step 0 is not chosen by a metric.
  return each.title, row.item, row.kind, row.runs, re.sub(r", best by \S+", "", row.label)
