"""Records of evaluations: their conditions, names and files."""

import hashlib
import json
import pathlib
from collections.abc import Mapping

from vireid_jax import config as config_lib
from vireid_jax.common import files
from vireid_jax.common.errors import UserError
from vireid_jax.common.workdir_files import EVALUATIONS
from vireid_jax.config import keys
from vireid_jax.evaluators import transductive
from vireid_jax.experiment import evaluation_config

# Options that do not affect results.
NO_CONDITION = ("eval.every", "eval.at_start", "eval.quick", "eval.batch", "eval.allow_mismatch")
IMAGES = "images"  # fingerprint of the test images; absent in older records


def conditions(config: Mapping) -> dict:
  """Returns the settings that the results of a network depend on, by flat key.

  Args:
    config: Config of the evaluation, plain values.
  """
  config = config_lib.to_dict(evaluation_config.of_checkpoint(config))
  options, data = config["eval"], config["data"]
  flat = keys.flatten({"eval": options, **evaluation_config.seen(config)})
  flat |= {"data.name": data["name"], "data.render": data.get("render", "")}
  flat["eval.split"] = config_lib.split_name(config, options["split"])
  unused = [f"eval.{name}_options" for name in transductive.TECHNIQUES if not options[name]]
  unused += [] if options["corruption"]["draws"] else ["eval.corruption"]
  return {
    key: value
    for key, value in sorted(flat.items())
    if key not in NO_CONDITION and not key.startswith(tuple(f"{name}." for name in unused))
  }


def differing(config: Mapping, trained: Mapping) -> dict[str, str]:
  """Returns the differences from the run's own evaluation: key -> 'key: own -> this'."""
  own, this = conditions(trained), conditions(config)
  options = config_lib.to_dict(evaluation_config.of_checkpoint(trained).eval)
  # Options of disabled features count with the run's values for them.
  own = keys.flatten({"eval": options}) | own
  return {
    key: f"{key}: {own.get(key, '(absent)')} -> {value}"
    for key, value in this.items()
    if own.get(key) != value
  }


def name(config: Mapping, trained: Mapping, step: int, *, other_images: str = "") -> str:
  """Names a record by its step, its options, and a hash of differences without a word.

  Args:
    config: Config of the evaluation, plain values.
    trained: Config of the training run; an evaluation under its conditions is named by its options
      only.
    step: Step of the checkpoint.
    other_images: Fingerprint of the test images if they are not of the run's data set.
  """
  options, own = config["eval"], evaluation_config.of_checkpoint(trained)
  changed, words = differing(config, trained), []
  if "data.name" in changed or "data.render" in changed or other_images:
    words += [config["data"]["name"].replace("/", "-")]
  split = config_lib.split_name(config, options["split"])
  # The test split of the run's trial is not named.
  words += [] if split in ("test", f"test_{own.data.trial}") else [split]
  words += list(options["features"])
  words += [word for word in ("flip", *transductive.TECHNIQUES, "mixed") if options[word]]
  words += ["verification"] if options["verification"] > own.eval.verification else []
  words += [] if options["normalize"] else ["not_normalized"]
  words += ["corrupted"] if options["corruption"]["draws"] else []
  words += ["mismatch"] if _mismatch(changed) else []
  said = ("data.name", "eval.split", "eval.features", "eval.normalize", "eval.flip",
          "eval.mixed", "eval.verification",
          *(f"eval.{name}" for name in transductive.TECHNIQUES))  # fmt: skip
  unsaid = {key: conditions(config).get(key) for key in changed if key not in said}
  unsaid |= {IMAGES: other_images} if other_images else {}
  words += [_hash(unsaid)] if unsaid else []
  return ".".join((f"step_{step:07d}", *map(_safe, words)))


def place(workdir: pathlib.Path, record: Mapping) -> pathlib.Path | None:
  """Returns where a record may be written without replacing one with other conditions.

  A full evaluation replaces a quick one under the same conditions, never the other way round.

  Args:
    workdir: Folder of the run.
    record: Record of an evaluation.

  Returns:
    The file; None if a full evaluation under the same conditions exists and this one is quick.
  """
  path = workdir / EVALUATIONS / f"{record['name']}.json"
  old = _read(path)
  if old and not _same(old, record):
    everything = {**conditions(record["config"]), IMAGES: record.get(IMAGES)}
    path = path.with_name(f"{record['name']}.{_hash(everything)}.json")
    old = _read(path)
  if old and record.get("quick") and not old.get("quick"):
    return None
  return path


def write(workdir: pathlib.Path, record: Mapping) -> pathlib.Path | None:
  """Writes a record to the file given by `place` and returns the file.

  Raises:
    UserError: The disk is full or read-only.
  """
  with files.user_errors_for_writes(workdir):
    path = place(workdir, record)
    if path is not None:
      path.parent.mkdir(parents=True, exist_ok=True)
      files.write_json(path, record)
  return path


def rates_before(workdir: pathlib.Path, record: Mapping) -> dict[str, dict[str, float]]:
  """Returns the rates of the untrained network under the conditions of a record, by setting.

  Args:
    workdir: Folder of the run.
    record: Record of an evaluation.

  Returns:
    {setting: {metric: mean in [0, 1]}}; empty if the untrained network was not evaluated like this.
  """
  options = record["name"].removeprefix(f"step_{record['step']:07d}")
  stored = _read(workdir / EVALUATIONS / f"step_{0:07d}{options}.json") or {}
  try:
    return {name: dict(result["mean"]) for name, result in stored["results"].items()}
  except (KeyError, TypeError, AttributeError, ValueError):
    return {}


def _same(old: Mapping, new: Mapping) -> bool:
  try:
    same = conditions(old["config"]) == conditions(new["config"])
  except (KeyError, TypeError, AttributeError, ValueError, UserError):
    return False  # a record that cannot be read is kept
  return same and (IMAGES not in old or old[IMAGES] == new.get(IMAGES))


def _read(path: pathlib.Path) -> dict | None:
  """Returns a record; None if the file is missing or truncated."""
  try:
    stored = json.loads(path.read_text(encoding="utf-8"))
  except (OSError, ValueError, RecursionError):
    return None
  return stored if isinstance(stored, dict) else None


def _mismatch(changed: Mapping) -> bool:
  """Returns whether the network's settings or inputs differed from training."""
  return any(not key.startswith(("eval.", "data.name", "data.render")) for key in changed)


def _hash(values: Mapping) -> str:
  return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _safe(word: str) -> str:
  """Replaces characters that are unsafe in file names, or are the separating dot."""
  return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in word)[:60]
