"""Ranked lists as a table and as rows for programs, and their summary."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence

from vireid_jax.common.errors import printable
from vireid_jax.common.formats import Column

MOST = 5  # queries whose lists are printed
HEAD = ("query", "rank", "similarity", "picture")
ALIGN = "lrrl"
COLUMNS = (Column("query"), Column("rank"), Column("similarity", "cosine"), Column("picture"))
ACCEPTED = {True: "accepted", False: "rejected"}


@dataclasses.dataclass(frozen=True)
class Lists:
  """The result of a search.

  Attributes:
    queries: Name of each query.
    gallery: Name of each gallery picture.
    found: (row of the gallery, similarity) of each query's list, best first.
    kind: 'track' or 'identity' if groups are listed, else ''.
    group: Function from a gallery row to the name of its group; None without groups.
    least: Least similarity of an accepted group; None if none is to be accepted.
  """

  queries: Sequence[str]
  gallery: Sequence[str]
  found: Sequence[Sequence[tuple[int, float]]]
  kind: str = ""
  group: Callable[[int], str] | None = None
  least: float | None = None

  @property
  def columns(self) -> list[Column]:
    """Columns of `rows`."""
    more = [self.kind] * (self.group is not None) + ["accepted"] * (self.least is not None)
    return [*COLUMNS, *map(Column, more)]

  @property
  def head(self) -> tuple[str, ...]:
    """Titles of `table`."""
    return (*HEAD, *(column.name for column in self.columns[len(HEAD) :]))

  @property
  def align(self) -> str:
    """Alignment of the columns of `table`."""
    return ALIGN + "l" * (len(self.head) - len(HEAD))

  def _more(self, row: int, similarity: float) -> dict:
    """Returns the group of a listed picture, and whether it is accepted."""
    found = {} if self.group is None else {self.kind: self.group(row)}
    return found if self.least is None else {**found, "accepted": similarity > self.least}

  def label(self, row: int, similarity: float) -> str:
    """Returns what the page says of a listed picture: its group, and whether it is accepted."""
    return ", ".join(ACCEPTED.get(value, value) for value in self._more(row, similarity).values())

  def rows(self) -> list[dict]:
    """Returns every listed picture as a row for a program, with the names of `columns`."""
    return [
      {
        "query": query,
        "rank": rank,
        "similarity": round(value, 6),
        "picture": self.gallery[row],
        **self._more(row, value),
      }
      for query, items in zip(self.queries, self.found, strict=True)
      for rank, (row, value) in enumerate(items, 1)
    ]

  def table(self) -> list[tuple[str, ...]]:
    """Returns the cells of a table for a reader: each query is named once, empty lists too."""
    cells, more = [], len(self.head) - len(HEAD)
    for query, items in zip(self.queries, self.found, strict=True):
      listed = [
        (
          *("", str(rank), f"{similarity:.3f}", self.gallery[row]),
          *(ACCEPTED.get(value, value) for value in self._more(row, similarity).values()),
        )
        for rank, (row, similarity) in enumerate(items, 1)
      ] or [("", "-", "-", "(no picture)", *["-"] * more)]
      cells += [(query, *listed[0][1:]), *listed[1:]]
    return cells

  def summary(self) -> list[str]:
    """Returns lines on the best similarities, and on queries whose list is empty."""
    pairs = list(zip(self.queries, self.found, strict=True))
    best = [(items[0][1], name) for name, items in pairs if items]
    empty = [name for name, items in pairs if not items]
    lines = []
    if best:
      middle = statistics.median(similarity for similarity, _ in best)
      low, high = (f"{value:.3f} ({printable(name)})" for value, name in (min(best), max(best)))
      lines.append(
        f"similarity of the best picture: median {middle:.3f}, lowest {low}, highest {high}"
      )
    if self.least is not None:
      known = sum(items[0][1] > self.least for _, items in pairs if items)
      lines.append(f"{known} of {len(pairs)} queries are accepted, above {self.least:.3f}")
    if empty:
      lines.append(f"queries without a picture: {len(empty)} (first: {printable(empty[0])})")
    return lines
