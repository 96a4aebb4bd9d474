"""SYSU-MM01: infrared queries against visible galleries, all-search and indoor-search.

Also the protocol of data sets laid out like it, and of held-out validation identities (with
`random_choice`; the owner's permutation is needed for `official`).
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import VISIBLE, Records
from vireid_jax.data import gallery_table
from vireid_jax.evaluators import arguments, ranking, results
from vireid_jax.evaluators.protocols import draws
from vireid_jax.evaluators.protocols.listing import Listing
from vireid_jax.evaluators.query_scores import QueryScores
from vireid_jax.evaluators.reranking import Reranker, Reranking
from vireid_jax.evaluators.similarity import similarity_matrix

QUERY_CAMERAS = (3, 6)
GALLERY_CAMERAS = {"all": (1, 2, 4, 5), "indoor": (1, 2)}
SAME_PLACE = {3: (2,)}  # query camera -> gallery cameras dropped for it, whatever the identity
GALLERIES = ("random_choice", "official")


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Which settings to evaluate; a setting is named `mode/shots-shot/gallery`.

  Attributes:
    modes: of "all" and "indoor", the search modes.
    shots: images per identity and camera in the gallery.
    trials: number of gallery draws, 0 .. trials - 1.
    galleries: of "random_choice" and "official", how the gallery is drawn.
  """

  modes: tuple[str, ...] = ("all", "indoor")
  shots: tuple[int, ...] = (1, 10)
  trials: int = 10
  galleries: tuple[str, ...] = GALLERIES

  def __post_init__(self):
    object.__setattr__(self, "modes", arguments.names("modes", self.modes, GALLERY_CAMERAS))
    object.__setattr__(self, "galleries", arguments.names("galleries", self.galleries, GALLERIES))
    object.__setattr__(self, "shots", arguments.counts("shots", self.shots))
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
    """Evaluates every setting on one matrix of similarities.

    Args:
      features: float [n, d], one per record.
      records: the n images of the split, both modalities.
      metadata: of the data set; `gallery_permutations` holds the official draws.
      normalize: L2-normalise the features.
      rerank: parameters of k-reciprocal re-ranking; plain results without.

    Returns:
      The result per setting. What the data do not allow is marked as not run.

    Raises:
      UserError: there is nothing to evaluate, or a feature is not finite.
    """
    task = _Task.of(arguments.rows_match(features, records), records, normalize, rerank)
    found = {
      f"{mode}/{shots}-shot/{gallery}": self._setting(task, metadata, mode, shots, gallery)
      for gallery in self.galleries
      for mode in self.modes
      for shots in self.shots
    }
    return results.refuse_if_empty(found)

  def listings(self, records: Records, metadata: Mapping) -> dict[str, Listing]:
    """Returns what trial 0 of every setting that the data allow compares, by `evaluate`'s names."""
    found = {}
    for gallery, mode, shots in itertools.product(self.galleries, self.modes, self.shots):
      with contextlib.suppress(UserError):
        (rows,) = gallery_rows(records, metadata, mode=mode, shots=shots, gallery=gallery, trials=1)
        queries = _query_rows(records)
        exclude = _same_place(records.camera[queries], records.camera[rows])
        found[f"{mode}/{shots}-shot/{gallery}"] = Listing(queries, rows, exclude, True)
    return found

  def _setting(self, task, metadata, mode, shots, gallery):
    conditions = {"protocol": "sysu_mm01", "mode": mode, "shots": shots, "gallery": gallery}
    conditions["normalize"] = task.normalize
    try:
      drawn = gallery_rows(
        task.records, metadata, mode=mode, shots=shots, gallery=gallery, trials=self.trials
      )
    except UserError as error:  # the other gallery variant may still be possible
      return results.SettingResult(conditions=conditions, not_run=str(error))
    return results.from_summaries(
      [task.scores(rows).summary() for rows in drawn],
      queries=len(task.query_rows),
      gallery_sizes=[len(rows) for rows in drawn],
      same_gallery=draws.are_same(drawn),
      conditions=conditions,
    )


def gallery_rows(
  records: Records, metadata: Mapping, *, mode: str, shots: int, gallery: str, trials: int
) -> list[np.ndarray]:
  """Draws the gallery of every trial.

  Args:
    records: the split.
    metadata: holds `gallery_permutations` for the official draws.
    mode: "all" or "indoor".
    shots: images per identity and camera.
    gallery: "random_choice" or "official".
    trials: number of draws.

  Returns:
    Per trial int64 [g], rows of `records`.

  Raises:
    UserError: the official permutation is absent or does not cover the split.
  """
  groups = draws.folders(records, VISIBLE, GALLERY_CAMERAS[mode])
  if gallery == "random_choice":
    return [draws.random_choice(groups, trial=trial, shots=shots) for trial in range(trials)]
  permutations = metadata.get("gallery_permutations")
  if not permutations:
    raise UserError(
      "the data set was prepared without the official gallery draws; put rand_perm_cam.mat into "
      "its exp folder and prepare it again, or use gallery 'random_choice'"
    )
  numbers = {row: draws.image_number(records.name[row]) for rows in groups.values() for row in rows}
  at_hand = {pair: [numbers[row] for row in rows] for pair, rows in groups.items()}
  wrong = gallery_table.problems(permutations, at_hand, complete=False)  # prepared unchecked, once
  if wrong:
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise UserError(
      f"the official gallery draws stored with the data set are wrong: {wrong[0]}{more}; prepare it"
      " again with --overwrite and the owner's rand_perm_cam.mat, or use gallery 'random_choice'"
    )
  return [
    draws.official(groups, numbers, permutations, trial=trial, shots=shots)
    for trial in range(trials)
  ]


@dataclasses.dataclass(frozen=True)
class _Task:
  """What all settings share.

  Attributes:
    records: the split.
    query_rows: int [q], rows of the queries, grouped by camera so that slices are views.
    column_of_row: int [n], column of `similarity` for the visible rows, -1 elsewhere.
    similarity: float [q, visible images].
    normalize: whether the features were L2-normalised.
    features: float [n, d].
    reranker: replaces the similarities of each draw; None for plain results.
  """

  records: Records
  query_rows: np.ndarray
  column_of_row: np.ndarray
  similarity: np.ndarray
  normalize: bool
  features: np.ndarray
  reranker: Reranker | None

  @classmethod
  def of(cls, features, records, normalize, rerank):
    query_rows = _query_rows(records)
    visible = np.flatnonzero(records.modality == VISIBLE)
    column_of_row = np.full(len(records), -1)
    column_of_row[visible] = np.arange(len(visible))
    similarity = similarity_matrix(features[query_rows], features[visible], normalize=normalize)
    reranker = Reranker(rerank, features[query_rows], normalize=normalize) if rerank else None
    return cls(records, query_rows, column_of_row, similarity, normalize, features, reranker)

  def scores(self, gallery):
    """Ranks the gallery rows for all queries; images of the query's own place are left out."""
    similarity, column_of_row = self.similarity, self.column_of_row
    if self.reranker:
      plain = similarity[:, column_of_row[gallery]]
      similarity = self.reranker.similarity(self.features[gallery], plain)
      column_of_row = np.full(len(self.records), -1)
      column_of_row[gallery] = np.arange(len(gallery))
    parts, start = [], 0
    for camera in QUERY_CAMERAS:
      stop = start + int((self.records.camera == camera).sum())
      near = np.isin(self.records.camera[gallery], SAME_PLACE.get(camera, ()))
      kept = gallery[~near]
      parts.append(
        ranking.score_queries(
          similarity[start:stop],
          self.records.identity[self.query_rows[start:stop]],
          self.records.identity[kept],
          columns=column_of_row[kept],
          unique_identities=True,
        )
      )
      start = stop
    return QueryScores.concatenate(parts)


def _query_rows(records: Records) -> np.ndarray:
  return np.concatenate([np.flatnonzero(records.camera == c) for c in QUERY_CAMERAS])


def _same_place(query_cameras: np.ndarray, gallery_cameras: np.ndarray) -> np.ndarray:
  """Marks gallery images from the query's own place: bool [q, g]."""
  near = np.zeros((len(query_cameras), len(gallery_cameras)), bool)
  for camera, others in SAME_PLACE.items():
    near |= (query_cameras == camera)[:, None] & np.isin(gallery_cameras, others)[None]
  return near
