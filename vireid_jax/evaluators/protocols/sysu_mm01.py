"""SYSU-MM01: infrared queries against visible galleries, all-search and indoor-search.

Also used for data sets with the same layout and for the validation identities (with
`random_choice`; `official` needs the owner's permutations).
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import VISIBLE, Records
from vireid_jax.data import gallery_table
from vireid_jax.evaluators import checks
from vireid_jax.evaluators.protocols import draws, exclusions
from vireid_jax.evaluators.protocols.scoring import Scored, Setting

QUERY_CAMERAS = (3, 6)
GALLERY_CAMERAS = {"all": (1, 2, 4, 5), "indoor": (1, 2)}
SAME_PLACE = ((3, 2),)  # (query camera, gallery camera), left out whatever the identity
GALLERIES = ("random_choice", "official")


@dataclasses.dataclass(frozen=True)
class Protocol(Scored):
  """SYSU-MM01's protocol; settings are named `mode/shots-shot/gallery`.

  Attributes:
    modes: Search modes: any of "all", "indoor".
    shots: Numbers of gallery images per identity and camera.
    trials: Number of gallery draws, 0 .. trials - 1.
    galleries: Ways to draw the gallery: any of "random_choice", "official".
  """

  modes: tuple[str, ...] = ("all", "indoor")
  shots: tuple[int, ...] = (1, 10)
  trials: int = 10
  galleries: tuple[str, ...] = GALLERIES

  def __post_init__(self):
    object.__setattr__(self, "modes", checks.names("modes", self.modes, GALLERY_CAMERAS))
    object.__setattr__(self, "galleries", checks.names("galleries", self.galleries, GALLERIES))
    object.__setattr__(self, "shots", checks.counts("shots", self.shots))
    checks.count("trials", self.trials)

  def sides(self, records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the queries and of the visible images."""
    queries = [np.flatnonzero(records.camera == camera) for camera in QUERY_CAMERAS]
    return np.concatenate(queries), np.flatnonzero(records.modality == VISIBLE)

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns a setting for each gallery variant, mode and number of shots."""
    queries, _ = self.sides(records)
    exclude, found = functools.partial(exclusions.same_place, records, SAME_PLACE), {}
    for gallery, mode, shots in itertools.product(self.galleries, self.modes, self.shots):
      given = {"mode": mode, "shots": shots, "gallery": gallery}
      rows, reason = [], ""
      try:
        rows = gallery_rows(records, metadata, **given, trials=self.trials)
      except UserError as error:  # the other gallery variant may still work
        reason = str(error)
      conditions = {"protocol": "sysu_mm01", **given}
      found[f"{mode}/{shots}-shot/{gallery}"] = Setting(
        conditions, queries, rows, exclude, unique_identities=True, not_run=reason
      )
    return found


def gallery_rows(
  records: Records, metadata: Mapping, *, mode: str, shots: int, gallery: str, trials: int
) -> list[np.ndarray]:
  """Draws the gallery of each trial.

  Args:
    records: Records of the split.
    metadata: Metadata of the data set, with `gallery_permutations` for the official draws.
    mode: "all" or "indoor".
    shots: Number of images per identity and camera.
    gallery: "random_choice" or "official".
    trials: Number of draws.

  Returns:
    int64 [g] for each trial, rows of `records`.

  Raises:
    UserError: The official permutations are missing, wrong, or do not cover the split.
  """
  groups = draws.group_by_identity_and_camera(records, VISIBLE, GALLERY_CAMERAS[mode])
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
  # Data sets prepared by early versions were not checked.
  wrong = gallery_table.problems(permutations, at_hand, complete=False)
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
