"""Verification with one threshold: ROC, TAR at FAR, and distances, per pair of modalities."""

import numpy as np

from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import checks
from vireid_jax.evaluators.similarity import similarity_matrix

PAIRS = {
  "visible-visible": (VISIBLE, VISIBLE),
  "infrared-infrared": (INFRARED, INFRARED),
  "visible-infrared": (VISIBLE, INFRARED),
}
FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3, 1e-4)


def evaluate(features, records: Records, *, normalize: bool = True) -> dict[str, dict]:
  """Evaluates verification on all pairs of distinct images, for each pair of modalities.

  Args:
    features: float [n, d], one row per record.
    records: Records of the n test images.
    normalize: Whether to compare by cosine similarity; otherwise by the negative squared Euclidean
      distance.

  Returns:
    The result of `separate` for each key of `PAIRS`, except for those without genuine or without
    impostor pairs.

  Raises:
    UserError: A feature is not finite, or the rows do not match the records.
  """
  features = checks.rows_match(features, records)
  found = {}
  for name, (left, right) in PAIRS.items():
    rows, columns = (np.flatnonzero(records.modality == side) for side in (left, right))
    similarity = similarity_matrix(features[rows], features[columns], normalize=normalize)
    same = records.identity[rows][:, None] == records.identity[columns][None]
    once = np.triu(np.ones_like(same), 1) if left == right else np.ones_like(same)
    genuine, impostor = similarity[same & once], similarity[~same & once]
    if len(genuine) and len(impostor):
      found[name] = separate(genuine, impostor, normalize=normalize)
  return found


def separate(genuine, impostor, *, normalize: bool = True) -> dict:
  """Measures how well a threshold on the similarity separates genuine from impostor pairs.

  For a false accept rate f and n impostor pairs, the threshold is the impostor similarity that
  floor(f n) others exceed or equal. Pairs strictly above it are accepted, so the measured rate is
  at most f.

  Args:
    genuine: float [m], similarities of pairs with the same identity.
    impostor: float [n], similarities of pairs with different identities.
    normalize: Whether similarities are cosines; squared distances are then 2 - 2 cos.

  Returns:
    'genuine' and 'impostor': numbers of pairs; 'tar': {far: {'tar', 'far', 'threshold'}}, with the
    requested FAR as text ('0.001'); 'roc': [[far, tar], ...] on a logarithmic grid; 'distance':
    mean and standard deviation of the Euclidean distance, 'intra' and 'inter'.
  """
  genuine, impostor = np.sort(genuine), np.sort(impostor)  # cheaper than one partition
  grid = np.logspace(-5, 0, 26)
  rates = np.concatenate([np.array(FALSE_ACCEPT_RATES), grid[:-1]])
  accepted = np.floor(rates * len(impostor) + 1e-9).astype(np.int64)
  thresholds = impostor[len(impostor) - 1 - np.minimum(accepted, len(impostor) - 1)]
  tar = _share_above(genuine, thresholds)
  points = list(zip(rates, tar, thresholds, strict=True))
  count = len(FALSE_ACCEPT_RATES)
  return {
    "genuine": len(genuine),
    "impostor": len(impostor),
    "tar": {
      f"{rate:g}": {
        "tar": float(accept),
        "far": float(_share_above(impostor, threshold)),
        "threshold": float(threshold),
      }
      for rate, accept, threshold in points[:count]
    },
    "roc": [[float(rate), float(accept)] for rate, accept, _ in points[count:]] + [[1.0, 1.0]],
    "distance": {
      "intra": _spread(genuine, normalize),
      "inter": _spread(impostor, normalize),
    },
  }


def _share_above(ordered, thresholds):
  return 1 - np.searchsorted(ordered, thresholds, side="right") / len(ordered)


def _spread(similarity, normalize):
  squared = np.maximum(2 - 2 * similarity if normalize else -similarity, 0)
  distance = np.sqrt(squared.astype(np.float64))
  return {"mean": float(distance.mean()), "std": float(distance.std())}
