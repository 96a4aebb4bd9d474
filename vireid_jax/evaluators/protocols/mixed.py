"""Mixed galleries: visible and infrared images together, as in a real camera network.

This is not part of any benchmark. It shows whether a method prefers images of the query's modality,
even of the wrong person.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.errors import UserError, shown
from vireid_jax.common.records import INFRARED, MODALITIES, VISIBLE, Records
from vireid_jax.evaluators import checks
from vireid_jax.evaluators.protocols import draws, exclusions
from vireid_jax.evaluators.protocols.scoring import Scored, Setting

DIRECTIONS = {"visible_to_mixed": VISIBLE, "infrared_to_mixed": INFRARED}


@dataclasses.dataclass(frozen=True)
class Protocol(Scored):
  """Every image of one modality is a query; galleries are drawn from all folders of both.

  A folder holds the images of one identity from one camera in one modality. Gallery images from the
  query's folder are left out; CMC counts identities.

  Attributes:
    directions: Directions to evaluate: any of "visible_to_mixed", "infrared_to_mixed".
    shots: Number of gallery images per folder.
    trials: Number of gallery draws, 0 .. trials - 1, drawn as `random_choice`.
    same_place: Pairs (query camera, gallery camera) of co-located cameras, which are not compared.
  """

  directions: tuple[str, ...] = tuple(DIRECTIONS)
  shots: int = 1
  trials: int = 10
  same_place: tuple[tuple[int, int], ...] = ()

  def __post_init__(self):
    given = checks.names("directions", self.directions, DIRECTIONS)
    object.__setattr__(self, "directions", given)
    checks.count("trials", self.trials)
    checks.count("shots", self.shots)
    object.__setattr__(self, "same_place", _pairs(self.same_place))

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns a setting per direction, named `direction/<shots>-shot`."""
    del metadata
    conditions = {"shots": self.shots, "gallery": "random_choice"}
    galleries = self._galleries(records)
    return {
      f"{direction}/{self.shots}-shot": Setting(
        {"protocol": "mixed", "direction": direction, **conditions},
        np.flatnonzero(records.modality == DIRECTIONS[direction]),
        galleries,
        functools.partial(self._left_out, records),
        unique_identities=True,
      )
      for direction in self.directions
    }

  def _galleries(self, records):
    groups = [draws.group_by_identity_and_camera(records, m) for m in range(len(MODALITIES))]
    return [
      np.concatenate([draws.random_choice(g, trial=trial, shots=self.shots) for g in groups])
      for trial in range(self.trials)
    ]

  def _left_out(self, records, queries, gallery):
    own = exclusions.alike(records, ("identity", "camera", "modality"), queries, gallery)
    return own | exclusions.same_place(records, self.same_place, queries, gallery)


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
