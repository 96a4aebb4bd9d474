"""Thresholds on the similarity that a run's record suggests for a search."""

import pathlib

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.evaluators.verification import PAIRS
from vireid_jax.report import records


def find(
  workdir: pathlib.Path, *, step: int, feature: str, modalities: tuple[str, str]
) -> list[dict]:
  """Returns operating points of a checkpoint on its test set.

  Args:
    workdir: Folder of the run.
    step: Step of the checkpoint.
    feature: Name of the feature.
    modalities: Modality of the queries and of the gallery.

  Returns:
    'false_accept_rate' and 'true_accept_rate' in [0, 1], 'min_similarity' (a cosine) and 'record'
    (a path), by decreasing rate; [] if no record holds a ROC of these features.
  """
  pair = frozenset(modalities)
  name = next(key for key, (a, b) in PAIRS.items() if {MODALITIES[a], MODALITIES[b]} == pair)
  for run in _records(workdir, step):
    tar = run.stored.get("verification", {}).get(feature, {}).get(name, {}).get("tar", {})
    if tar and _is_plain(run):
      return [
        {
          "false_accept_rate": found["far"],
          "true_accept_rate": found["tar"],
          "min_similarity": found["threshold"],
          "record": str(run.path),
        }
        for found in tar.values()
      ]
  return []


def _records(workdir: pathlib.Path, step: int) -> list[records.Run]:
  try:
    return records.of_workdir(workdir, step)
  except (UserError, OSError):  # a hint; the search needs no record
    return []


def _is_plain(run: records.Run) -> bool:
  """Returns whether the record's features are those of a search."""
  settings = run.stored["config"]["eval"]
  return settings["normalize"] and not settings["flip"] and not run.stored["mismatch"]
