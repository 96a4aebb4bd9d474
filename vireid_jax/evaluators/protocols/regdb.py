"""RegDB: every image of one modality against every image of the other, in both directions."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import arguments, ranking, results
from vireid_jax.evaluators.protocols.listing import Listing
from vireid_jax.evaluators.reranking import Reranker, Reranking
from vireid_jax.evaluators.similarity import similarity_matrix

DIRECTIONS = ("visible_to_infrared", "infrared_to_visible")


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Which directions to evaluate; CMC counts images, and no gallery image is left out.

  Attributes:
    directions: of "visible_to_infrared" and "infrared_to_visible".
  """

  directions: tuple[str, ...] = DIRECTIONS

  def __post_init__(self):
    given = arguments.names("directions", self.directions, DIRECTIONS)
    object.__setattr__(self, "directions", given)

  def evaluate(
    self,
    features,
    records: Records,
    metadata: Mapping,
    *,
    normalize: bool = True,
    rerank: Reranking | None = None,
  ) -> dict[str, results.SettingResult]:
    """Evaluates the directions on one matrix of similarities, read along either axis.

    Args:
      features: float [n, d], one per record.
      records: the n test images of one of the ten splits, both modalities.
      metadata: unused; there is no gallery draw.
      normalize: L2-normalise the features. One published code base does not, and ranks by the
        Euclidean distance of the raw features instead.
      rerank: parameters of k-reciprocal re-ranking; plain results without.

    Returns:
      The result per direction, of one trial each.

    Raises:
      UserError: there is nothing to evaluate, or a feature is not finite.
    """
    del metadata
    features = arguments.rows_match(features, records)
    sides = [np.flatnonzero(records.modality == side) for side in (VISIBLE, INFRARED)]
    similarity = similarity_matrix(*(features[rows] for rows in sides), normalize=normalize)
    pairs = {
      "visible_to_infrared": (similarity, *sides),
      "infrared_to_visible": (similarity.T, *sides[::-1]),
    }
    found = {}
    for direction in self.directions:
      matrix, query, gallery = pairs[direction]
      if rerank:
        reranker = Reranker(rerank, features[query], normalize=normalize)
        matrix = reranker.similarity(features[gallery], matrix)
      found[direction] = results.from_summaries(
        [ranking.evaluate_ranking(matrix, records.identity[query], records.identity[gallery])],
        queries=len(query),
        gallery_sizes=[len(gallery)],
        conditions={"protocol": "regdb", "direction": direction, "normalize": normalize},
      )
    return results.refuse_if_empty(found)

  def listings(self, records: Records, metadata: Mapping) -> dict[str, Listing]:
    """Returns what each direction compares."""
    del metadata
    visible, infrared = (np.flatnonzero(records.modality == side) for side in (VISIBLE, INFRARED))
    pairs = {
      "visible_to_infrared": (visible, infrared),
      "infrared_to_visible": (infrared, visible),
    }
    return {name: Listing(*pairs[name], None, False) for name in self.directions}
