"""LLCM: all images of one modality as queries, one image per identity and camera of the other."""

import dataclasses
from collections.abc import Mapping

from vireid_jax.common.records import Records
from vireid_jax.evaluators import checks
from vireid_jax.evaluators.protocols.cross_modality import Search
from vireid_jax.evaluators.protocols.scoring import Setting

LLCM_DIRECTIONS = ("standard", "deen_release")
EXCHANGED = "visible_to_infrared"


@dataclasses.dataclass(frozen=True)
class Protocol(Search):
  """LLCM's protocol; galleries are drawn as `random_choice`, one image per folder.

  Gallery images with the query's identity *and* camera number are left out; CMC counts identities.

  Attributes:
    directions: Directions to evaluate: any of "visible_to_infrared", "infrared_to_visible".
    trials: Number of gallery draws, 0 .. trials - 1.
    llcm_direction: "standard", or "deen_release" to score visible queries like the code of the data
      set's authors, which swaps the roles after the draw: each drawn infrared image is searched
      among all visible ones. This is a different task.
  """

  trials: int = 10
  llcm_direction: str = "standard"

  def __post_init__(self):
    super().__post_init__()
    checks.count("trials", self.trials)
    checks.one_of("llcm_direction", self.llcm_direction, LLCM_DIRECTIONS)

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns a setting per direction; swapped roles are part of its name."""
    del metadata
    found = self.search(
      records,
      "llcm",
      {"gallery": "random_choice"},
      shots=1,
      trials=self.trials,
      exclude_same_camera=True,
      unique_identities=True,
    )
    if self.llcm_direction == "standard" or EXCHANGED not in found:
      return found
    standard = found.pop(EXCHANGED)
    conditions = {**standard.conditions, "llcm_direction": self.llcm_direction}
    exchanged = dataclasses.replace(standard, conditions=conditions, drawn_search=True)
    return {f"{EXCHANGED}/{self.llcm_direction}": exchanged, **found}
