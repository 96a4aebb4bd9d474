"""Chance level: the score of a gallery in random order."""

from collections.abc import Mapping

import numpy as np

from vireid_jax.common.records import Records
from vireid_jax.evaluators.protocols.comparison import Comparison
from vireid_jax.evaluators.results import CHANCE, SettingResult

# Trained networks are far above this; untrained ones are close to 1.
RATIO = 1.3


def notice(
  results: Mapping[str, SettingResult], comparisons: Mapping[str, Comparison], records: Records
) -> str | None:
  """Returns a warning if no setting is better than a random order of the gallery.

  Args:
    results: Results by setting.
    comparisons: Comparison of trial 0 of each setting, by the same names.
    records: Records of the test images.

  Returns:
    A sentence with both mAP values of the first setting; None if a setting is above chance, or if
    chance is 0.5 or more everywhere, which makes the test meaningless.
  """
  floors = {
    name: expected(comparison, records)
    for name, comparison in comparisons.items()
    if name in results and results[name].trials
  }
  floors = {name: floor for name, floor in floors.items() if 0 < floor < 0.5}
  if not floors or any(results[name].mean["mAP"] > RATIO * floors[name] for name in floors):
    return None
  name, floor = next(iter(floors.items()))
  return (
    f"the evaluation is at chance level: mAP {100 * results[name].mean['mAP']:.2f} % in {name}, "
    f"where a random order of the gallery gives {100 * floor:.2f} %; the network has learned "
    "nothing that transfers to unseen people. Check the losses, the learning rate, and the data"
  )


def expected(comparison: Comparison, records: Records) -> float:
  """Returns the expected mAP in [0, 1] of a random order of the gallery; see `rates`."""
  return rates(comparison, records)["mAP"]


def rates(comparison: Comparison, records: Records) -> dict[str, float]:
  """Returns the expected rank-1 and mAP in [0, 1] of a random order of the gallery.

  With m matches among k images in random order, the i-th image is a match with probability m / k,
  and then (i - 1)(m - 1) / (k - 1) of the images before it are expected to be: E[AP] = (H_k +
  (m - 1)(k - H_k) / (k - 1)) / k with the harmonic number H_k. Means are over queries with a match.
  """
  identities = records.identity
  right = identities[comparison.queries][:, None] == identities[comparison.gallery][None]
  kept = np.full(len(right), len(comparison.gallery))
  if comparison.exclude is not None:
    right = right & ~comparison.exclude
    kept = (~comparison.exclude).sum(axis=1)
  matches = right.sum(axis=1)
  kept, matches = kept[matches > 0], matches[matches > 0]
  if not len(kept):
    return dict.fromkeys(CHANCE, 0.0)
  harmonic = np.cumsum(1 / np.arange(1, kept.max() + 1))[kept - 1]
  others = (matches - 1) * (kept - harmonic) / np.maximum(kept - 1, 1)
  average_precision = np.mean((harmonic + others) / kept)
  return {"rank-1": float(np.mean(matches / kept)), "mAP": float(average_precision)}
