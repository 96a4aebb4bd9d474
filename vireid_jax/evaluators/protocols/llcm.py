"""LLCM: all images of one modality against one image per identity and camera of the other."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import arguments, ranking, results
from vireid_jax.evaluators.protocols import draws
from vireid_jax.evaluators.protocols.listing import Listing
from vireid_jax.evaluators.reranking import Reranker, Reranking
from vireid_jax.evaluators.similarity import similarity_matrix

DIRECTIONS = {
  "visible_to_infrared": (VISIBLE, INFRARED),
  "infrared_to_visible": (INFRARED, VISIBLE),
}


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Which directions to evaluate; galleries are drawn as `random_choice`, one image per folder.

  Attributes:
    directions: of "visible_to_infrared" and "infrared_to_visible".
    trials: number of gallery draws, 0 .. trials - 1.
  """

  directions: tuple[str, ...] = tuple(DIRECTIONS)
  trials: int = 10

  def __post_init__(self):
    given = arguments.names("directions", self.directions, DIRECTIONS)
    object.__setattr__(self, "directions", given)
    arguments.count("trials", self.trials)

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
      The result per direction.

    Raises:
      UserError: there is nothing to evaluate, or a feature is not finite.
    """
    del metadata
    features = arguments.rows_match(features, records)
    rows = [np.flatnonzero(records.modality == side) for side in (VISIBLE, INFRARED)]
    similarity = similarity_matrix(features[rows[0]], features[rows[1]], normalize=normalize)
    found = {}
    for direction in self.directions:
      query, gallery = DIRECTIONS[direction]
      matrix = similarity if query == VISIBLE else similarity.T
      similarity_to = similarities(features, rows[query], rows[gallery], matrix, normalize, rerank)
      summaries, drawn = self._trials(similarity_to, records, rows[query], gallery)
      conditions = {"protocol": "llcm", "direction": direction, "gallery": "random_choice"}
      found[direction] = results.from_summaries(
        summaries,
        queries=len(rows[query]),
        gallery_sizes=[len(each) for each in drawn],
        same_gallery=draws.are_same(drawn),
        conditions={**conditions, "normalize": normalize},
      )
    return results.refuse_if_empty(found)

  def listings(self, records: Records, metadata: Mapping) -> dict[str, Listing]:
    """Returns what trial 0 of each direction compares."""
    del metadata
    found = {}
    for direction in self.directions:
      query, gallery = DIRECTIONS[direction]
      queries = np.flatnonzero(records.modality == query)
      drawn = draws.random_choice(draws.folders(records, gallery), trial=0, shots=1)
      exclude = same_folder(records, queries, drawn)
      found[direction] = Listing(queries, drawn, exclude, True)
    return found

  def _trials(self, similarity_to, records, query_rows, gallery):
    """Returns (summary per trial, gallery per trial); `gallery` is a modality."""
    groups = draws.folders(records, gallery)
    summaries = []
    galleries = [draws.random_choice(groups, trial=trial, shots=1) for trial in range(self.trials)]
    for drawn in galleries:
      similarity, columns = similarity_to(drawn)
      scores = ranking.score_queries(
        similarity,
        records.identity[query_rows],
        records.identity[drawn],
        columns=columns,
        exclude=same_folder(records, query_rows, drawn),
        unique_identities=True,
      )
      summaries.append(scores.summary())
    return summaries, galleries


def similarities(features, query, gallery, similarity, normalize, rerank):
  """Returns a function of the drawn rows to (similarity, columns in which they stand).

  Args:
    features: float [n, d].
    query, gallery: rows of the two modalities.
    similarity: float [queries, gallery images].
    normalize, rerank: as for `Protocol.evaluate`.
  """
  column_of_row = np.full(len(features), -1)
  column_of_row[gallery] = np.arange(len(gallery))
  if not rerank:
    return lambda drawn: (similarity, column_of_row[drawn])
  reranker = Reranker(rerank, features[query], normalize=normalize)

  def reranked(drawn):
    plain = similarity[:, column_of_row[drawn]]
    return reranker.similarity(features[drawn], plain), None

  return reranked


def same_folder(records: Records, query_rows, gallery_rows) -> np.ndarray:
  """Marks gallery images of the query's identity *and* camera number, which LLCM leaves out.

  Args:
    records: the split.
    query_rows: int [q], rows of the queries.
    gallery_rows: int [g], rows of the gallery.

  Returns:
    bool [q, g].
  """
  identity = records.identity[query_rows][:, None] == records.identity[gallery_rows][None]
  camera = records.camera[query_rows][:, None] == records.camera[gallery_rows][None]
  return identity & camera
