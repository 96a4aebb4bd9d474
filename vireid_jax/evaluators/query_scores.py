"""Scores of individual queries, and their averages."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class QueryScores:
  """Scores of each query's ranked list.

  Attributes:
    first_match: int64 [q], number of images (or identities) ranked before the first true match;
      -1 if the query has no match.
    average_precision: float64 [q] in [0, 1]; 0 without a match.
    inverse_negative_penalty: float64 [q] in [0, 1]; 0 without a match.
  """

  first_match: np.ndarray
  average_precision: np.ndarray
  inverse_negative_penalty: np.ndarray

  @classmethod
  def concatenate(cls, blocks: "list[QueryScores]") -> "QueryScores":
    """Joins the scores of consecutive blocks of queries."""
    names = [field.name for field in dataclasses.fields(cls)]
    return cls(*(np.concatenate([getattr(block, name) for block in blocks]) for name in names))

  @classmethod
  def without_match(cls, count: int) -> "QueryScores":
    """Returns the scores of `count` queries whose identity is not in the gallery."""
    return cls(np.full(count, -1, np.int64), np.zeros(count), np.zeros(count))

  def summary(self, max_rank: int = 20) -> dict:
    """Averages over the valid queries, that is those with a match in the gallery.

    Args:
      max_rank: Length of the CMC curve.

    Returns:
      `cmc` float64 [max_rank], `mAP` and `mINP` (all in [0, 1]), and the number `valid_queries`. If
      it is 0, so are all rates.
    """
    valid = self.first_match >= 0
    count = int(valid.sum())
    hits = np.bincount(self.first_match[valid], minlength=max_rank)[:max_rank]
    return {
      "cmc": np.cumsum(hits) / max(count, 1),
      "mAP": float(self.average_precision[valid].sum() / max(count, 1)),
      "mINP": float(self.inverse_negative_penalty[valid].sum() / max(count, 1)),
      "valid_queries": count,
    }
