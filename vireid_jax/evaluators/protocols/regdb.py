"""RegDB: all images of one modality as queries, all images of the other as gallery."""

import dataclasses
from collections.abc import Mapping

from vireid_jax.common.records import Records
from vireid_jax.evaluators.protocols.cross_modality import Search
from vireid_jax.evaluators.protocols.scoring import Setting


@dataclasses.dataclass(frozen=True)
class Protocol(Search):
  """RegDB's protocol: CMC counts images, and no gallery image is left out.

  Attributes:
    directions: Directions to evaluate: any of "visible_to_infrared", "infrared_to_visible".
  """

  def settings(self, records: Records, metadata: Mapping) -> dict[str, Setting]:
    """Returns a setting per direction, with one trial each, since nothing is drawn."""
    del metadata
    return self.search(records, "regdb")
