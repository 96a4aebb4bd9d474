"""Cross-modality search for data without a published protocol."""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import checks
from vireid_jax.evaluators.protocols import draws, exclusions
from vireid_jax.evaluators.protocols.scoring import Scored, Setting

DIRECTIONS = {
  "visible_to_infrared": (VISIBLE, INFRARED),
  "infrared_to_visible": (INFRARED, VISIBLE),
}
EXCLUDE = ("shared", "always", "never")


@dataclasses.dataclass(frozen=True)
class Search(Scored):
  """Every image of one modality is a query; galleries hold images of the other.

  Attributes:
    directions: Directions to evaluate: any of "visible_to_infrared", "infrared_to_visible".
  """

  directions: tuple[str, ...] = tuple(DIRECTIONS)

  def __post_init__(self):
    given = checks.names("directions", self.directions, DIRECTIONS)
    object.__setattr__(self, "directions", given)

  def sides(self, records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the visible and of the infrared images."""
    visible, infrared = (np.flatnonzero(records.modality == m) for m in (VISIBLE, INFRARED))
    return visible, infrared

  def search(
    self,
    records: Records,
    protocol: str,
    conditions: Mapping | None = None,
    *,
    shots: int = 0,
    trials: int = 1,
    exclude_same_camera: bool = False,
    unique_identities: bool = False,
  ) -> dict[str, Setting]:
    """Returns a setting per direction; presets, such as RegDB's, choose the options.

    Args:
      records: Records of the n test images, both modalities.
      protocol: Name of the preset.
      conditions: Conditions to record besides protocol and direction.
      shots: Gallery images per identity and camera, drawn as `random_choice`; 0 takes all.
      trials: Number of draws, if there are any.
      exclude_same_camera: Whether to leave out gallery images with the query's identity *and*
        camera number.
      unique_identities: Whether CMC counts identities instead of images.
    """
    rows, found, exclude = self.sides(records), {}, None
    if exclude_same_camera:
      exclude = functools.partial(exclusions.alike, records, ("identity", "camera"))
    for direction in self.directions:
      query, gallery = DIRECTIONS[direction]
      galleries = [rows[gallery]]
      if shots:
        groups = draws.group_by_identity_and_camera(records, gallery)
        galleries = [draws.random_choice(groups, trial=t, shots=shots) for t in range(trials)]
      found[direction] = Setting(
        {"protocol": protocol, "direction": direction, **(conditions or {})},
        rows[query],
        galleries,
        exclude,
        unique_identities,
      )
    return found


@dataclasses.dataclass(frozen=True)
class Protocol(Search):
  """Every picture of one modality is a query; the gallery is the other modality's pictures.

  CMC counts pictures, as a person does who scrolls through a ranked list.

  Attributes:
    directions: Directions to evaluate: any of "infrared_to_visible", "visible_to_infrared".
    shots: Gallery pictures per identity and camera, drawn as `random_choice`; 0 takes all.
    trials: Number of draws, if there are any.
    exclude_same_camera: Whether to leave out gallery pictures with the query's identity *and*
      camera: "always", "never", or "shared", if any camera number occurs in both modalities. A
      camera that sees both takes two pictures at the same moment, which makes the match trivial.
  """

  directions: tuple[str, ...] = ("infrared_to_visible", "visible_to_infrared")
  shots: int = 0
  trials: int = 10
  exclude_same_camera: str = "shared"

  def __post_init__(self):
    super().__post_init__()
    checks.count("trials", self.trials)
    checks.count("shots", self.shots, least=0)
    checks.one_of("exclude_same_camera", self.exclude_same_camera, EXCLUDE)

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns a setting per direction, named `direction` or `direction/<shots>-shot`."""
    del metadata
    drawn = {"gallery": "random_choice", "shots": self.shots} if self.shots else {"gallery": "all"}
    excludes = self._excludes(records)
    found = self.search(
      records,
      "cross_modality",
      {**drawn, "exclude_same_camera": excludes},
      shots=self.shots,
      trials=self.trials,
      exclude_same_camera=excludes,
    )
    ending = f"/{self.shots}-shot" if self.shots else ""
    return {f"{direction}{ending}": setting for direction, setting in found.items()}

  def _excludes(self, records: Records) -> bool:
    if self.exclude_same_camera != "shared":
      return self.exclude_same_camera == "always"
    cameras = [np.unique(records.camera[rows]) for rows in self.sides(records)]
    return bool(len(np.intersect1d(*cameras)))
