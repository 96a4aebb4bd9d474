"""Mixed galleries: visible and infrared images together, as a camera network would hold them.

An extra setting, not one of the benchmarks' own: a method that only bridges the modalities may
still prefer images of the query's own modality, whoever they show.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.errors import UserError, shown
from vireid_jax.common.records import INFRARED, MODALITIES, VISIBLE, Records
from vireid_jax.evaluators import arguments, ranking, results
from vireid_jax.evaluators.protocols import draws
from vireid_jax.evaluators.protocols.listing import Listing
from vireid_jax.evaluators.similarity import similarity_matrix

DIRECTIONS = {"visible_to_mixed": VISIBLE, "infrared_to_mixed": INFRARED}


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Every image of one modality against draws from all folders of both.

  A folder is what one camera saw of one identity in one modality. Gallery images from the query's
  own folder are left out; CMC counts identities.

  Attributes:
    directions: of "visible_to_mixed" and "infrared_to_mixed".
    shots: images per folder in the gallery.
    trials: number of gallery draws, 0 .. trials - 1, drawn as `random_choice`.
    same_place: pairs (query camera, gallery camera) that never meet, because both stand in the
      same place.
  """

  directions: tuple[str, ...] = tuple(DIRECTIONS)
  shots: int = 1
  trials: int = 10
  same_place: tuple[tuple[int, int], ...] = ()

  def __post_init__(self):
    given = arguments.names("directions", self.directions, DIRECTIONS)
    object.__setattr__(self, "directions", given)
    arguments.count("trials", self.trials)
    arguments.count("shots", self.shots)
    object.__setattr__(self, "same_place", _pairs(self.same_place))

  def evaluate(
    self, features, records: Records, metadata: Mapping, *, normalize: bool = True
  ) -> dict[str, results.SettingResult]:
    """Evaluates the directions.

    Args:
      features: float [n, d], one per record.
      records: the n test images, both modalities.
      metadata: unused; the draws need none.
      normalize: L2-normalise the features.

    Returns:
      The result per direction.

    Raises:
      UserError: there is nothing to evaluate, or a feature is not finite.
    """
    del metadata
    features = arguments.rows_match(features, records)
    galleries = [self._draw(records, trial) for trial in range(self.trials)]
    found = {}
    for direction in self.directions:
      query = np.flatnonzero(records.modality == DIRECTIONS[direction])
      conditions = {"protocol": "mixed", "direction": direction, "shots": self.shots}
      found[f"{direction}/{self.shots}-shot"] = results.from_summaries(
        [self._rank(features, records, query, gallery, normalize) for gallery in galleries],
        queries=len(query),
        gallery_sizes=[len(gallery) for gallery in galleries],
        same_gallery=draws.are_same(galleries),
        conditions={**conditions, "gallery": "random_choice", "normalize": normalize},
      )
    return results.refuse_if_empty(found)

  def listings(self, records: Records, metadata: Mapping) -> dict[str, Listing]:
    """Returns what trial 0 of each direction compares."""
    del metadata
    gallery, found = self._draw(records, 0), {}
    for direction in self.directions:
      queries = np.flatnonzero(records.modality == DIRECTIONS[direction])
      exclude = self._left_out(records, queries, gallery)
      found[f"{direction}/{self.shots}-shot"] = Listing(queries, gallery, exclude, True)
    return found

  def _draw(self, records, trial):
    drawn = [
      draws.random_choice(draws.folders(records, modality), trial=trial, shots=self.shots)
      for modality in range(len(MODALITIES))
    ]
    return np.concatenate(drawn)

  def _rank(self, features, records, query, gallery, normalize):
    return ranking.evaluate_ranking(
      similarity_matrix(features[query], features[gallery], normalize=normalize),
      records.identity[query],
      records.identity[gallery],
      exclude=self._left_out(records, query, gallery),
      unique_identities=True,
    )

  def _left_out(self, records, query, gallery):
    def equal(column):
      return column[query][:, None] == column[gallery][None]

    own = equal(records.identity) & equal(records.camera) & equal(records.modality)
    for query_camera, gallery_camera in self.same_place:
      near = records.camera[gallery] == gallery_camera
      own |= (records.camera[query] == query_camera)[:, None] & near[None]
    return own


def _pairs(given) -> tuple[tuple[int, int], ...]:
  """Returns pairs of camera numbers as tuples; raises UserError for anything else."""
  try:
    pairs = tuple((query, gallery) for query, gallery in given)
  except (TypeError, ValueError):
    pairs = ((given, None),)
  for number in (number for pair in pairs for number in pair):
    if not isinstance(number, int | np.integer):
      raise UserError(
        f"same_place is {shown(given)}; it must hold pairs of camera numbers such as ((2, 3),)"
      )
  return pairs
