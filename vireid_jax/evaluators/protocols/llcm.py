"""LLCM: all images of one modality as queries, one image per identity and camera of the other."""

import dataclasses
from collections.abc import Mapping

from vireid_jax.common.records import Records
from vireid_jax.evaluators import checks
from vireid_jax.evaluators.protocols.cross_modality import Search
from vireid_jax.evaluators.protocols.scoring import Setting


@dataclasses.dataclass(frozen=True)
class Protocol(Search):
  """Which directions to evaluate; galleries are drawn as `random_choice`, one image per folder.

  Gallery images of the query's identity *and* camera number are left out; CMC counts identities.

  Attributes:
    directions: Directions to evaluate: any of "visible_to_infrared", "infrared_to_visible".
    trials: Number of gallery draws, 0 .. trials - 1.
  """

  trials: int = 10

  def __post_init__(self):
    super().__post_init__()
    checks.count("trials", self.trials)

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns a setting per direction."""
    del metadata
    return self.search(
      records,
      "llcm",
      {"gallery": "random_choice"},
      shots=1,
      trials=self.trials,
      exclude_same_camera=True,
      unique_identities=True,
    )
