"""All results of one embedding pass: features, re-ranking, corrupted copies, mixed galleries.

The name of a result says what sets it apart within one evaluation, `setting[/feature][/rerank]
[/corrupted]`; its conditions say everything that changes the numbers.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.records import VISIBLE, Records
from vireid_jax.evaluators.protocols import mixed, sysu_mm01
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.results import SettingResult

Results = dict[str, SettingResult]


@dataclasses.dataclass(frozen=True)
class Suite:
  """What to compute from the features of a test set.

  Attributes:
    protocol: of the data set.
    normalize: L2-normalise the features.
    flip: whether the features were averaged with those of the mirror image; stated, not done here.
    rerank: parameters of the re-ranking; None for plain results alone.
    mixed: also rank galleries of both modalities.
  """

  protocol: object
  normalize: bool = True
  flip: bool = False
  rerank: Reranking | None = None
  mixed: bool = False

  def quick(self) -> "Suite":
    """Returns the quick look: trial 0 alone, nothing re-ranked or mixed."""
    protocol = self.protocol
    if hasattr(protocol, "trials"):
      protocol = dataclasses.replace(protocol, trials=1)
    return dataclasses.replace(self, protocol=protocol, rerank=None, mixed=False)

  def evaluate(
    self, features: Mapping[str, np.ndarray], records: Records, metadata: Mapping
  ) -> Results:
    """Evaluates each feature of a clean test set; the first one's results have no suffix.

    Args:
      features: per name float [n, d], one per record.
      records: the n test images.
      metadata: of the data set.
    """
    found = {}
    for index, (name, matrix) in enumerate(features.items()):
      suffix = f"/{name}" if index else ""
      facts = {"feature": name, "flip": self.flip}
      _add(found, self._plain(matrix, records, metadata), suffix, {**facts, "rerank": None})
      if self.rerank:
        reranked = self.protocol.evaluate(
          matrix, records, metadata, normalize=self.normalize, rerank=self.rerank
        )
        facts = {**facts, "rerank": dataclasses.asdict(self.rerank)}
        _add(found, reranked, f"{suffix}/rerank", facts)
    return found

  def _plain(self, matrix, records, metadata):
    found = self.protocol.evaluate(matrix, records, metadata, normalize=self.normalize)
    if self.mixed:
      protocol = mixed_protocol(self.protocol)
      found |= protocol.evaluate(matrix, records, metadata, normalize=self.normalize)
    return found


def mixed_protocol(protocol) -> mixed.Protocol:
  """Returns the mixed galleries that go with a protocol: its trials, and its cameras' places."""
  places = ()
  if isinstance(protocol, sysu_mm01.Protocol):
    places = tuple(pair for place in sysu_mm01.SAME_PLACE for pair in (place, place[::-1]))
  return mixed.Protocol(trials=getattr(protocol, "trials", 10), same_place=places)


def _add(found, results, suffix, facts):
  for setting, result in results.items():
    conditions = {**result.conditions, "setting": setting, "corruption": None, **facts}
    found[f"{setting}{suffix}"] = dataclasses.replace(result, conditions=conditions)


def join_draws(draws: list[Results], conditions: Mapping) -> Results:
  """Joins the results of several corrupted copies; their trials stand one after the other.

  Args:
    draws: one set of results per copy.
    conditions: of the corruption.

  Returns:
    Results named with the suffix `/corrupted`.
  """
  joined = {}
  for name, first in draws[0].items():
    each = [draw[name] for draw in draws]
    joined[f"{name}/corrupted"] = dataclasses.replace(
      first,
      trials=sum((result.trials for result in each), ()),
      valid_queries=sum((result.valid_queries for result in each), ()),
      gallery_sizes=sum((result.gallery_sizes for result in each), ()),
      conditions={**first.conditions, "corruption": dict(conditions)},
      same_gallery=first.same_gallery and len(each) == 1,
    )
  return joined


def with_visible(features: Mapping, visible: Mapping, records: Records) -> dict[str, np.ndarray]:
  """Returns the features with those of the visible images replaced."""
  replaced = {}
  for name, matrix in features.items():
    replaced[name] = matrix.copy()
    replaced[name][records.modality == VISIBLE] = visible[name]
  return replaced
