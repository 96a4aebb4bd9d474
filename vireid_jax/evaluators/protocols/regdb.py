"""RegDB: every image of one modality against every image of the other, in both directions."""

import dataclasses
from collections.abc import Mapping

from vireid_jax.common.records import Records
from vireid_jax.evaluators.protocols.cross_modality import Search
from vireid_jax.evaluators.protocols.scoring import Setting


@dataclasses.dataclass(frozen=True)
class Protocol(Search):
  """Which directions to evaluate; CMC counts images, and no gallery image is left out.

  Attributes:
    directions: of "visible_to_infrared" and "infrared_to_visible".
  """

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns a setting per direction, of one trial each: there is no gallery draw."""
    del metadata
    return self.search(records, "regdb")
