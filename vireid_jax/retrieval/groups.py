"""Groups of gallery pictures: tracks of a person by one camera, or enrolled people."""

import dataclasses
import pathlib
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from vireid_jax.common.errors import UserError, printable
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.retrieval import path_table, searcher
from vireid_jax.retrieval.group_names import TRACK
from vireid_jax.retrieval.searcher import Labels, Ranking

BEST = 3  # pictures of a group whose mean similarity ranks it
POOL = 20  # pictures per place of a list that are looked at first
WIDER = 4  # factor by which more are looked at where that is not enough


@dataclasses.dataclass(frozen=True)
class Groups:
  """A partition of the gallery.

  Attributes:
    names: Name of each group.
    number: int64 [n], group of each gallery picture.
  """

  names: list[str]
  number: np.ndarray

  def name_of(self, row: int) -> str:
    """Returns the name of a picture's group."""
    return self.names[self.number[row]]


def check(kind: str | None, table: str | None, rate: float | None) -> path_table.PathTable | None:
  """Reads the options --group, --groups and --false_accept_rate before minutes of work.

  Args:
    kind: 'track', 'identity', or None.
    table: Path of a CSV file with the columns path and `kind`.
    rate: Rate of wrong people that may be accepted.

  Raises:
    UserError: They do not fit together, or the table is not readable.
  """
  if kind is None:
    for option, value in (("--groups", table), ("--false_accept_rate", rate)):
      if value is not None:
        raise UserError(f"{option} is not used; add --group, or omit {option}")
    return None
  if table is None:
    raise UserError(
      f"--group {kind} needs the {kind} of each picture; give --groups TABLE.csv with the columns "
      f"path and {kind}"
    )
  if rate is not None and not 0 < rate < 1:  # NaN too
    raise UserError(f"--false_accept_rate is {rate:g}; it must be more than 0 and less than 1")
  if rate is not None and kind == TRACK:
    raise UserError("--false_accept_rate accepts people; use --group identity, or omit it")
  return path_table.open_table(table, kind, "--groups")


def divide(
  table: path_table.PathTable, names: Sequence[str], paths: Sequence[pathlib.Path]
) -> tuple[Groups, list[str]]:
  """Groups the pictures of a gallery; one that is not in the table is a group of its own.

  Args:
    table: Group by picture.
    names: Name of each picture.
    paths: Path of each picture.

  Returns:
    The groups, and warnings.

  Raises:
    UserError: No picture is in the table.
  """
  found = [table(path) for path in paths]
  missing = [path for path, group in zip(paths, found, strict=True) if group is None]
  if len(missing) == len(paths):
    raise UserError(
      f"--groups={table} names no picture of the gallery (first: {printable(str(missing[0]))}); "
      f"{table.fix}"
    )
  keys: list[Hashable] = [
    (name,) if group is None else group for name, group in zip(names, found, strict=True)
  ]
  numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
  shown = [key if isinstance(key, str) else key[0] for key in numbers]
  warnings = []
  if missing:
    warnings.append(
      f"{len(missing)} of {len(paths)} pictures have no {table.column} in {table} (first: "
      f"{printable(str(missing[0]))}); each of them is a group of its own"
    )
  return Groups(shown, np.array([numbers[key] for key in keys], np.int64)), warnings


class GroupSearcher:
  """Ranks groups by the mean similarity of their best pictures, and shows the best one of each.

  A group cannot be closer than its best picture. So a group without a picture among those that were
  looked at is behind all groups at least as close as the last of these; if the list is not complete
  by then, more pictures are looked at. Lists are exact if the searcher is.
  """

  def __init__(
    self,
    search: Callable[..., Ranking],
    features: np.ndarray,
    groups: Groups,
    *,
    normalize: bool,
  ):
    """Takes a searcher of the gallery's pictures, their features and groups."""
    self._search, self._features, self._groups = search, features, groups
    self._normalize = normalize
    order = np.argsort(groups.number, kind="stable")
    starts = np.searchsorted(groups.number[order], np.arange(len(groups.names) + 1))
    self._order, self._starts = order, starts

  def __call__(
    self,
    queries: np.ndarray,
    *,
    top: int = 10,
    exclude: Sequence[Labels] = (),
    min_similarity: float = -np.inf,
  ) -> Ranking:
    """Ranks groups; see `Searcher.__call__`. The rows are those of each group's best picture."""
    dimensions = self._features.shape[1]
    queries = searcher.prepared(queries, dimensions, normalize=self._normalize)
    length = searcher.list_length(top, len(self._groups.names))
    ranking = searcher.empty(len(queries), length)
    for query in range(len(queries)):
      one = [Labels(labels.queries[[query]], labels.gallery) for labels in exclude]
      rows, values = self._list(queries[query], length, one)
      ranking.fill(query, rows, values, min_similarity)
    return ranking

  def _list(self, query: np.ndarray, length: int, exclude: Sequence[Labels]):
    """Returns the best picture of each of the first groups, and the groups' similarities."""
    pool = POOL * length
    while True:
      found = self._search(query, top=min(pool, len(self._features)), exclude=exclude)
      near = found.rows[0][found.rows[0] >= 0]
      groups = list(dict.fromkeys(self._groups.number[near].tolist()))
      scored = [self._score(query, group, exclude) for group in groups]
      rows = np.array([row for row, _ in scored], np.int64)
      values = np.array([value for _, value in scored], np.float32)
      order = np.argsort(-values, kind="stable")[:length]
      whole = len(near) < found.rows.shape[1] or pool >= len(self._features)
      last = found.similarity[0, len(near) - 1] if len(near) else -np.inf
      if whole or (len(order) == length and values[order[-1]] >= last):
        return rows[order], values[order]
      pool *= WIDER

  def _score(self, query: np.ndarray, group: int, exclude: Sequence[Labels]) -> tuple[int, float]:
    """Returns a group's best picture, and the mean similarity of its best ones."""
    rows = self._order[self._starts[group] : self._starts[group + 1]]
    features = searcher.checked(self._features[rows], "gallery")
    features = l2_normalize(features) if self._normalize else features
    values = searcher.similarities(query[None], features, normalize=self._normalize)
    values = searcher.without(values, exclude, slice(None), rows)[0]
    best = np.argsort(-values, kind="stable")[:BEST]
    best = best[values[best] > -np.inf]
    return int(rows[best[0]]), float(values[best].mean())


def threshold(points: Sequence[dict], rate: float | None, hint: str) -> float | None:
  """Returns the least similarity of an accepted person; None if nobody is to be accepted.

  Args:
    points: Operating points of the record; see `report.threshold_hint.find`.
    rate: Value of --false_accept_rate.
    hint: Command that measures the record's ROC.

  Raises:
    UserError: The record has no such rate.
  """
  if rate is None:
    return None
  if not points:
    raise UserError(
      f"--false_accept_rate {rate:g} needs the ROC of an evaluation of this checkpoint; {hint} "
      "measures it"
    )
  rates = [point["false_accept_rate"] for point in points]
  fitting = [point for point in points if point["false_accept_rate"] <= rate]
  if not fitting:
    raise UserError(
      f"--false_accept_rate is {rate:g}, and the least rate in {printable(points[0]['record'])} is "
      f"{min(rates):.3g}"
    )
  return max(fitting, key=lambda point: point["false_accept_rate"])["min_similarity"]
