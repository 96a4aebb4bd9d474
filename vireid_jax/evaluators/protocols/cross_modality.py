"""Cross-modality search on data without a protocol of its own: one modality against the other."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import arguments, ranking, results
from vireid_jax.evaluators.protocols import draws
from vireid_jax.evaluators.protocols.listing import Listing
from vireid_jax.evaluators.protocols.llcm import DIRECTIONS, same_folder, similarities
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.similarity import similarity_matrix

EXCLUDE = ("shared", "always", "never")


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Every picture of one modality is a query; the gallery is the other modality's pictures.

  CMC counts pictures, as a person who scrolls through a ranked list does.

  Attributes:
    directions: of "infrared_to_visible" and "visible_to_infrared".
    shots: gallery pictures per identity and camera, drawn as `random_choice`; 0 takes all.
    trials: number of draws; without draws there is one.
    exclude_same_camera: whether gallery pictures of the query's identity *and* camera are left
      out. A camera that sees both modalities photographs a person twice in one moment, which is no
      search: "shared" leaves such pictures out where a camera number occurs in both modalities.
  """

  directions: tuple[str, ...] = ("infrared_to_visible", "visible_to_infrared")
  shots: int = 0
  trials: int = 10
  exclude_same_camera: str = "shared"

  def __post_init__(self):
    given = arguments.names("directions", self.directions, DIRECTIONS)
    object.__setattr__(self, "directions", given)
    arguments.count("trials", self.trials)
    arguments.count("shots", self.shots, least=0)
    arguments.one_of("exclude_same_camera", self.exclude_same_camera, EXCLUDE)

  def evaluate(
    self,
    features,
    records: Records,
    metadata: Mapping,
    *,
    normalize: bool = True,
    rerank: Reranking | None = None,
  ) -> dict[str, results.SettingResult]:
    """Evaluates the directions; both read one matrix of similarities.

    Args:
      features: float [n, d], one per record.
      records: the n test images, both modalities.
      metadata: unused; the draws need none.
      normalize: L2-normalise the features.
      rerank: parameters of k-reciprocal re-ranking; plain results without.

    Returns:
      The result per direction, named 'direction' or 'direction/<shots>-shot'.

    Raises:
      UserError: there is nothing to evaluate, or a feature is not finite.
    """
    del metadata
    features = arguments.rows_match(features, records)
    rows = [np.flatnonzero(records.modality == side) for side in (VISIBLE, INFRARED)]
    similarity = similarity_matrix(features[rows[0]], features[rows[1]], normalize=normalize)
    excludes = self._excludes(records)
    found = {}
    for direction in self.directions:
      query, gallery = DIRECTIONS[direction]
      matrix = similarity if query == VISIBLE else similarity.T
      similarity_to = similarities(features, rows[query], rows[gallery], matrix, normalize, rerank)
      drawn = self._galleries(records, gallery)
      found[self._name(direction)] = results.from_summaries(
        [_score(similarity_to, records, rows[query], each, excludes) for each in drawn],
        queries=len(rows[query]),
        gallery_sizes=[len(each) for each in drawn],
        same_gallery=draws.are_same(drawn),
        conditions={**self._conditions(direction, excludes), "normalize": normalize},
      )
    return results.refuse_if_empty(found)

  def listings(self, records: Records, metadata: Mapping) -> dict[str, Listing]:
    """Returns what each setting compares in trial 0."""
    del metadata
    found, excludes = {}, self._excludes(records)
    for direction in self.directions:
      side, gallery = DIRECTIONS[direction]
      query, drawn = np.flatnonzero(records.modality == side), self._galleries(records, gallery)[0]
      exclude = same_folder(records, query, drawn) if excludes else None
      found[self._name(direction)] = Listing(query, drawn, exclude, False)
    return found

  def _name(self, direction: str) -> str:
    return f"{direction}/{self.shots}-shot" if self.shots else direction

  def _conditions(self, direction: str, excludes: bool) -> dict:
    drawn = {"gallery": "random_choice", "shots": self.shots} if self.shots else {"gallery": "all"}
    own = {"protocol": "cross_modality", "direction": direction}
    return {**own, **drawn, "exclude_same_camera": excludes}

  def _excludes(self, records: Records) -> bool:
    if self.exclude_same_camera != "shared":
      return self.exclude_same_camera == "always"
    cameras = [np.unique(records.camera[records.modality == side]) for side in (VISIBLE, INFRARED)]
    return bool(len(np.intersect1d(*cameras)))

  def _galleries(self, records: Records, modality: int) -> list[np.ndarray]:
    if not self.shots:
      return [np.flatnonzero(records.modality == modality)]
    groups = draws.folders(records, modality)
    return [
      draws.random_choice(groups, trial=trial, shots=self.shots) for trial in range(self.trials)
    ]


def _score(similarity_to, records: Records, query: np.ndarray, drawn: np.ndarray, excludes: bool):
  similarity, columns = similarity_to(drawn)
  scores = ranking.score_queries(
    similarity,
    records.identity[query],
    records.identity[drawn],
    columns=columns,
    exclude=same_folder(records, query, drawn) if excludes else None,
  )
  return scores.summary()
