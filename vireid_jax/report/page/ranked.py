"""Ranked lists of the best and the worst queries."""

import dataclasses

import numpy as np

from vireid_jax.common.records import MODALITIES
from vireid_jax.report.page import contact, figures, thumbnails
from vireid_jax.report.page.network import Embedded

SHOWN = 10
EACH = 6  # best and worst queries each
RIGHT, WRONG = "#1a7f37", "#cf222e"


@dataclasses.dataclass(frozen=True)
class Found:
  """A gallery image in a ranked list.

  Attributes:
    row: Row of the records.
    rank: Rank, from 1.
    right: Whether it shows the query's identity.
    similarity: Similarity to the query.
  """

  row: int
  rank: int
  right: bool
  similarity: float


@dataclasses.dataclass(frozen=True)
class RankedList:
  """A query and its ranked list.

  Attributes:
    query: Row of the records.
    precision: Average precision of the whole list, in [0, 1].
    found: First `SHOWN` images of the list.
    first_match: First match, at any rank.
    kept: Number of gallery images in the list.
    left_out: Number of gallery images that the protocol leaves out.
    matches: Number of matches in the list.
  """

  query: int
  precision: float
  found: tuple[Found, ...]
  first_match: Found
  kept: int
  left_out: int
  matches: int


def best_and_worst(
  embedded: Embedded, setting: str, each: int = EACH
) -> tuple[list[RankedList], list[RankedList]]:
  """Ranks trial 0 of a setting and picks lists by average precision.

  At most one query per identity is picked among the best and among the worst, so that the lists
  show different people. Queries without a match are ignored, as in the evaluation.

  Args:
    embedded: Network, images and features.
    setting: Setting of the protocol.
    each: Number of best and of worst queries; fewer if there are fewer identities.

  Returns:
    The best lists, best first, and the worst, worst first. No query is in both.
  """
  comparison = embedded.comparisons[setting]
  similarity = comparison.similarity(embedded.features, normalize=embedded.normalize)
  scores = comparison.scores(similarity, embedded.records)
  valid = np.flatnonzero(scores.first_match >= 0)
  order = valid[np.argsort(-scores.average_precision[valid], kind="stable")]
  identities = embedded.records.identity[comparison.queries]
  each = min(each, len(order) // 2) or len(order)
  best = _distinct(order, identities, each)
  worst = _distinct([query for query in order[::-1] if query not in best], identities, each)

  def lists(queries):
    return [
      _ranked(embedded, comparison, similarity, query, scores.average_precision[query])
      for query in queries
    ]

  return lists(best), lists(worst)


def _distinct(queries, identities: np.ndarray, count: int) -> list[int]:
  picked: dict[int, int] = {}
  for query in queries:
    picked.setdefault(int(identities[query]), int(query))
  return list(picked.values())[:count]


def _ranked(embedded, comparison, similarity, query: int, precision: float) -> RankedList:
  order = comparison.ranked(similarity, query)
  records, row = embedded.records, int(comparison.queries[query])
  right = records.identity[comparison.gallery[order]] == records.identity[row]

  def found(position: int) -> Found:
    column = order[position]
    score = float(similarity[query, column])
    return Found(int(comparison.gallery[column]), position + 1, bool(right[position]), score)

  return RankedList(
    query=row,
    precision=float(precision),
    found=tuple(found(position) for position in range(min(SHOWN, len(order)))),
    first_match=found(int(np.flatnonzero(right)[0])),
    kept=len(order),
    left_out=len(comparison.gallery) - len(order),
    matches=int(right.sum()),
  )


def describe(embedded: Embedded, row: int) -> dict[str, object]:
  """Returns the page's description of an image."""
  records = embedded.records
  return {
    "identity": int(records.identity[row]),
    "camera": int(records.camera[row]),
    "modality": MODALITIES[records.modality[row]],
    "name": str(records.name[row]),
    "source": thumbnails.of_encoded(embedded.images.encoded[row]),
  }


def to_page(embedded: Embedded, ranked: RankedList) -> dict[str, object]:
  """Returns a ranked list as data for the template."""
  found = [{**describe(embedded, item.row), **dataclasses.asdict(item)} for item in ranked.found]
  return {
    **dataclasses.asdict(ranked),
    "query": describe(embedded, ranked.query),
    "found": found,
    "first_rank": ranked.first_match.rank,
  }


def draw(embedded: Embedded, lists: list[RankedList], name: str, folder: figures.Folder) -> None:
  """Writes lists one below the other as a labelled sheet, for papers and slides."""
  rows = [
    [
      _tile(embedded, ranked.query, "query", "black"),
      *(
        _tile(embedded, item.row, f"{item.rank}", RIGHT if item.right else WRONG)
        for item in ranked.found
      ),
    ]
    for ranked in lists
  ]
  titles = [
    f"identity {embedded.records.identity[ranked.query]}, average precision "
    f"{100 * ranked.precision:.1f} %, first match at rank {ranked.first_match.rank}"
    for ranked in lists
  ]
  title = f"{name}: query, then the first {SHOWN} images; green is right, red is wrong"
  contact.save(rows, titles, title, name, folder)


def _tile(embedded: Embedded, row: int, words: str, color: str) -> contact.Tile:
  known = embedded.records
  label = f"{words} · id {known.identity[row]} · c{known.camera[row]}"
  return contact.Tile(np.asarray(thumbnails.decode(embedded.images.encoded[row])), label, color)
