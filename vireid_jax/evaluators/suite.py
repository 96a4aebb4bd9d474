"""All results of one embedding pass: features, re-ranking, corrupted copies, mixed galleries.

Results are named `setting[/feature][/rerank | /affinity | /mser][/corrupted]`, which is unique
within an evaluation; their conditions record everything that changes the numbers.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.records import VISIBLE, Records
from vireid_jax.evaluators import transductive
from vireid_jax.evaluators.affinity import Affinity
from vireid_jax.evaluators.multi_spectral import MultiSpectral
from vireid_jax.evaluators.protocols import mixed, sysu_mm01
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.results import SettingResult

Results = dict[str, SettingResult]


@dataclasses.dataclass(frozen=True)
class Suite:
  """Results to compute from the features of a test set.

  Attributes:
    protocol: Evaluation protocol of the data set.
    normalize: Whether to L2-normalise the features.
    flip: Whether the features are averaged with those of the mirror image; only recorded here.
    rerank: Parameters of a re-ranking to also evaluate; None without.
    affinity: Options of an affinity inference to also evaluate; None without.
    mser: Options of a multi-spectral re-ranking to also evaluate; None without.
    mixed: Whether to also evaluate galleries of both modalities.
  """

  protocol: object
  normalize: bool = True
  flip: bool = False
  rerank: Reranking | None = None
  affinity: Affinity | None = None
  mser: MultiSpectral | None = None
  mixed: bool = False

  def quick(self) -> "Suite":
    """Returns a suite of trial 0 only, without transductive results and mixed galleries."""
    protocol = self.protocol
    if hasattr(protocol, "trials"):
      protocol = dataclasses.replace(protocol, trials=1)
    transductive_ones = dict.fromkeys(transductive.TECHNIQUES)
    return dataclasses.replace(self, protocol=protocol, mixed=False, **transductive_ones)

  def evaluate(
    self,
    features: Mapping[str, np.ndarray],
    records: Records,
    metadata: Mapping,
    *,
    spectra: Mapping[str, np.ndarray] | None = None,
  ) -> Results:
    """Evaluates each feature of a clean test set; results of the first one have no suffix.

    Args:
      features: float [n, d] by name of the feature, one row per record.
      records: Records of the n test images.
      metadata: Metadata of the data set.
      spectra: float [n, 4 d] by name of the feature, from `multi_spectral.joined`; None leaves out
        the multi-spectral re-ranking.
    """
    found = {}
    for index, (name, matrix) in enumerate(features.items()):
      suffix = f"/{name}" if index else ""
      facts = {"feature": name, "flip": self.flip}
      _add(found, self._plain(matrix, records, metadata), suffix, facts)
      techniques = [(self.rerank, matrix), (self.affinity, matrix)]
      techniques += [(self.mser, spectra[name])] if spectra else []
      for options, rows in techniques:
        if options is None:
          continue
        ranked = self.protocol.evaluate(
          rows, records, metadata, normalize=self.normalize, rerank=options
        )
        _add(found, ranked, f"{suffix}/{options.name}", facts, options)
    return found

  def _plain(self, matrix, records, metadata):
    found = self.protocol.evaluate(matrix, records, metadata, normalize=self.normalize)
    if self.mixed:
      protocol = mixed_protocol(self.protocol)
      found |= protocol.evaluate(matrix, records, metadata, normalize=self.normalize)
    return found


def mixed_protocol(protocol) -> mixed.Protocol:
  """Returns the mixed-gallery protocol with the same trials and co-located cameras."""
  places = ()
  if isinstance(protocol, sysu_mm01.Protocol):
    places = tuple(pair for place in sysu_mm01.SAME_PLACE for pair in (place, place[::-1]))
  return mixed.Protocol(trials=getattr(protocol, "trials", 10), same_place=places)


def _add(found, results, suffix, facts, options: transductive.Options | None = None):
  for setting, result in results.items():
    mark = transductive.condition(options and options.of_setting(result.conditions))
    conditions = {**result.conditions, "setting": setting, "corruption": None, **facts, **mark}
    found[f"{setting}{suffix}"] = dataclasses.replace(result, conditions=conditions)


def join_draws(draws: list[Results], conditions: Mapping) -> Results:
  """Joins the results of several corrupted copies by concatenating their trials.

  Args:
    draws: Results of each copy.
    conditions: Conditions of the corruption.

  Returns:
    The results, named with the suffix `/corrupted`.
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
  """Returns the features with the rows of visible images replaced."""
  replaced = {}
  for name, matrix in features.items():
    replaced[name] = matrix.copy()
    replaced[name][records.modality == VISIBLE] = visible[name]
  return replaced
