"""Ranked lists as a table and as rows for programs, and their summary."""

import dataclasses
import statistics
from collections.abc import Sequence

from vireid_jax.common.errors import printable
from vireid_jax.common.formats import Column

MOST = 5  # queries whose lists are printed
HEAD = ("query", "rank", "similarity", "picture")
ALIGN = "lrrl"
COLUMNS = (Column("query"), Column("rank"), Column("similarity", "cosine"), Column("picture"))


@dataclasses.dataclass(frozen=True)
class Lists:
  """The result of a search.

  Attributes:
    queries: Name of each query.
    gallery: Name of each gallery picture.
    found: (row of the gallery, similarity) of each query's list, best first.
  """

  queries: Sequence[str]
  gallery: Sequence[str]
  found: Sequence[Sequence[tuple[int, float]]]

  def rows(self) -> list[dict]:
    """Returns every listed picture as a row for a program, with the names of `COLUMNS`."""
    return [
      {"query": query, "rank": rank, "similarity": round(value, 6), "picture": self.gallery[row]}
      for query, items in zip(self.queries, self.found, strict=True)
      for rank, (row, value) in enumerate(items, 1)
    ]

  def table(self) -> list[tuple[str, ...]]:
    """Returns the cells of a table for a reader: each query is named once, empty lists too."""
    cells = []
    for query, items in zip(self.queries, self.found, strict=True):
      listed = [
        ("", str(rank), f"{similarity:.3f}", self.gallery[row])
        for rank, (row, similarity) in enumerate(items, 1)
      ] or [("", "-", "-", "(no picture)")]
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
    if empty:
      lines.append(f"queries without a picture: {len(empty)} (first: {printable(empty[0])})")
    return lines
