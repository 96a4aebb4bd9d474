"""The loop that scores the comparisons of a protocol, setting by setting and trial by trial."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from vireid_jax.common import progress
from vireid_jax.common.records import Records
from vireid_jax.evaluators import checks, results, transductive
from vireid_jax.evaluators.protocols import draws
from vireid_jax.evaluators.protocols.comparison import Comparison
from vireid_jax.evaluators.query_scores import QueryScores
from vireid_jax.evaluators.similarity import similarity_matrix


@dataclasses.dataclass(frozen=True)
class Setting:
  """One setting of a protocol: the same queries against the gallery of each trial.

  Attributes:
    conditions: Everything that changes the numbers, except how similarities are computed.
    queries: int [q], rows of the records.
    galleries: int [g] for each trial, rows of the records.
    exclude: Function from (queries, gallery) to bool [q, g], as in `Comparison`; None leaves
      nothing out.
    unique_identities: Whether CMC counts identities instead of images.
    not_run: Reason why the data do not allow this setting; empty if they do.
    drawn_search: Whether to swap the roles: drawn images are searched among the fixed ones.
  """

  conditions: Mapping
  queries: np.ndarray
  galleries: list[np.ndarray]
  exclude: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
  unique_identities: bool = False
  not_run: str = ""
  drawn_search: bool = False

  def comparisons(self) -> Iterator[Comparison]:
    """Yields the comparison of each trial, one at a time: exclusions take q x g bytes."""
    for drawn in self.galleries:
      queries, gallery = (drawn, self.queries) if self.drawn_search else (self.queries, drawn)
      exclude = self.exclude and self.exclude(queries, gallery)
      yield Comparison(queries, gallery, exclude, self.unique_identities)

  def sizes(self) -> list[tuple[int, int]]:
    """Returns the numbers of queries and gallery images of each trial."""
    sizes = [(len(self.queries), len(drawn)) for drawn in self.galleries]
    return [size[::-1] for size in sizes] if self.drawn_search else sizes


class Scored:
  """Base of every protocol, which defines `settings` and inherits the rest."""

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns the settings by name.

    Args:
      records: Records of the n test images, both modalities.
      metadata: Metadata of the data set.
    """
    raise NotImplementedError

  def sides(self, records: Records) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns two sorted arrays of rows whose similarities serve all trials and directions.

    The queries of each setting are one of them, or drawn from the second, and its galleries are
    drawn from the other. If None, similarities are computed for each trial separately.
    """
    del records

  def evaluate(
    self,
    features,
    records: Records,
    metadata: Mapping,
    *,
    normalize: bool = True,
    rerank: transductive.Options | None = None,
  ) -> dict[str, results.SettingResult]:
    """Evaluates every setting.

    Args:
      features: float [n, d], one row per record.
      records: Records of the n test images, both modalities.
      metadata: Metadata of the data set, with the official gallery draws if there are any.
      normalize: Whether to L2-normalise the features. Some published code does not, and ranks by
        the Euclidean distance of the raw features instead.
      rerank: Options of a transductive technique, such as re-ranking; None for plain results.

    Returns:
      The result of each setting. Settings that the data do not allow are marked as not run.

    Raises:
      UserError: There is nothing to evaluate, or a feature is not finite.
    """
    features = checks.rows_match(features, records)
    settings = self.settings(records, metadata)
    galleries = sum(len(each.galleries) for each in settings.values() if not each.not_run)
    with progress.part("re-ranking" if rerank else "ranking", galleries) as activity:
      normalize = normalize or (rerank is not None and rerank.cosine)
      similarities = _Similarities(features, self.sides(records), normalize, rerank)
      found = {
        name: _result(setting, records, similarities, {"normalize": normalize}, activity)
        for name, setting in settings.items()
      }
    return results.refuse_if_empty(found)

  def trial_scores(
    self, features, records: Records, metadata: Mapping, *, normalize: bool = True
  ) -> dict[str, list[QueryScores]]:
    """Scores each query in every trial of each setting that the data allow; see `evaluate`."""
    features = checks.rows_match(features, records)
    similarities = _Similarities(features, self.sides(records), normalize, None)
    return {
      name: [similarities.scores(one, records, setting.conditions) for one in setting.comparisons()]
      for name, setting in self.settings(records, metadata).items()
      if not setting.not_run
    }

  def comparisons(self, records: Records, metadata: Mapping) -> dict[str, Comparison]:
    """Returns the comparison of trial 0 of each setting that the data allow, by name."""
    first = dataclasses.replace(self, trials=1) if hasattr(self, "trials") else self
    settings = first.settings(records, metadata).items()
    return {name: next(one.comparisons()) for name, one in settings if not one.not_run}


def _result(setting, records, similarities, conditions, activity):
  conditions = {**setting.conditions, **conditions}
  if setting.not_run:
    return results.SettingResult(conditions=conditions, not_run=setting.not_run)
  sizes, summaries = setting.sizes(), []
  for each in setting.comparisons():
    summaries.append(similarities.scores(each, records, conditions).summary())
    activity.advance()
  return results.from_summaries(
    summaries,
    queries=sizes[0][0],
    gallery_sizes=[size for _, size in sizes],
    same_gallery=draws.are_same(setting.galleries),
    conditions=conditions,
  )


class _Similarities:
  """Similarities of comparisons, read from one matrix along either axis if there are sides."""

  def __init__(self, features, sides, normalize, rerank):
    self._features, self._sides, self._normalize, self._rerank = features, sides, normalize, rerank
    self._ranker = (np.array([-1]), None, None)  # only the last one: it may hold q x q distances
    if sides:
      left, right = (features[rows] for rows in sides)
      self._matrix = similarity_matrix(left, right, normalize=normalize)

  def scores(self, comparison: Comparison, records: Records, conditions: Mapping):
    """Scores each query's list in a setting with some conditions, plain or re-ranked."""
    similarity, columns = self._read(comparison)
    if self._rerank:
      plain = similarity if columns is None else similarity[:, columns]
      gallery = self._features[comparison.gallery]
      ranker = self._ranker_of(comparison.queries, self._rerank.of_setting(conditions))
      similarity, columns = ranker.similarity(gallery, plain), None
    return comparison.scores(similarity, records, columns=columns)

  def _read(self, comparison):
    """Returns a matrix of similarities and the gallery's columns in it, None for all."""
    if not self._sides:
      return comparison.similarity(self._features, normalize=self._normalize), None
    left, right = self._sides
    queries, gallery = comparison.queries, comparison.gallery
    if np.array_equal(queries, left):
      return self._matrix, np.searchsorted(right, gallery)
    rows = slice(None) if np.array_equal(queries, right) else np.searchsorted(right, queries)
    return self._matrix.T[rows], np.searchsorted(left, gallery)

  def _ranker_of(self, queries, options):
    known, used, ranker = self._ranker
    if used != options or not np.array_equal(known, queries):
      ranker = options.ranker(self._features[queries], normalize=self._normalize)
      self._ranker = (queries, options, ranker)
    return ranker
