"""Records of evaluations: their names, what they hold, and what they never replace."""

import hashlib
import json
import pathlib
from collections.abc import Mapping

from vireid_jax import config as config_lib
from vireid_jax.common import files
from vireid_jax.common.errors import UserError
from vireid_jax.common.workdir_files import EVALUATIONS
from vireid_jax.config import keys
from vireid_jax.experiment import evaluation_config

# How an evaluation is asked for; its numbers do not depend on it.
NO_CONDITION = ("eval.every", "eval.at_start", "eval.quick", "eval.batch", "eval.allow_mismatch")
IMAGES = "images"  # fingerprint of the test images; older records have none


def conditions(config: Mapping) -> dict:
  """Returns everything in a config that the numbers of a network depend on, key by key.

  Args:
    config: of the evaluation, plain values.
  """
  config = config_lib.to_dict(evaluation_config.of_checkpoint(config))
  options, data = config["eval"], config["data"]
  flat = keys.flatten({"eval": options, **evaluation_config.seen(config)})
  flat |= {"data.name": data["name"], "data.render": data.get("render", "")}
  flat["eval.split"] = config_lib.split_name(config, options["split"])
  unused = [] if options["rerank"] else ["eval.rerank_options"]
  unused += [] if options["corruption"]["draws"] else ["eval.corruption"]
  return {
    key: value
    for key, value in sorted(flat.items())
    if key not in NO_CONDITION and not key.startswith(tuple(f"{name}." for name in unused))
  }


def differing(config: Mapping, trained: Mapping) -> dict[str, str]:
  """Returns 'key: own -> this' by key where an evaluation departs from the run's own."""
  own, this = conditions(trained), conditions(config)
  options = config_lib.to_dict(evaluation_config.of_checkpoint(trained).eval)
  # Options of what the run itself left off count with the values that it has for them.
  own = keys.flatten({"eval": options}) | own
  return {
    key: f"{key}: {own.get(key, '(absent)')} -> {value}"
    for key, value in this.items()
    if own.get(key) != value
  }


def name(config: Mapping, trained: Mapping, step: int, *, other_images: str = "") -> str:
  """Names a record by its step, in words by its options, and by a hash of what words do not say.

  Args:
    config: of the evaluation, plain values.
    trained: of the training; an evaluation under its conditions has no words but its options'.
    step: of the checkpoint.
    other_images: fingerprint of test images that are not of the run's own data set.
  """
  options, own = config["eval"], evaluation_config.of_checkpoint(trained)
  changed, words = differing(config, trained), []
  if "data.name" in changed or "data.render" in changed or other_images:
    words += [config["data"]["name"].replace("/", "-")]
  split = config_lib.split_name(config, options["split"])
  # 'test' of the trial that the run was trained on goes without saying.
  words += [] if split in ("test", f"test_{own.data.trial}") else [split]
  words += list(options["features"])
  words += [word for word in ("flip", "rerank", "mixed") if options[word]]
  words += ["verification"] if options["verification"] > own.eval.verification else []
  words += [] if options["normalize"] else ["not_normalized"]
  words += ["corrupted"] if options["corruption"]["draws"] else []
  words += ["mismatch"] if _mismatch(changed) else []
  said = ("data.name", "eval.split", "eval.features", "eval.normalize", "eval.flip", "eval.rerank",
          "eval.mixed", "eval.verification")  # fmt: skip
  unsaid = {key: conditions(config).get(key) for key in changed if key not in said}
  unsaid |= {IMAGES: other_images} if other_images else {}
  words += [_hash(unsaid)] if unsaid else []
  return ".".join((f"step_{step:07d}", *map(_safe, words)))


def place(workdir: pathlib.Path, record: Mapping) -> pathlib.Path | None:
  """Returns where a record may be written without replacing one of other conditions.

  A whole evaluation replaces a quick look at the same, never the other way round.

  Args:
    workdir: of the run.
    record: as `write` takes it.

  Returns:
    The file; None where a whole evaluation under the same conditions is there already.
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
  """Writes a record where `place` says and returns the file.

  Raises:
    UserError: the disk is full or read-only.
  """
  with files.user_errors_for_writes(workdir):
    path = place(workdir, record)
    if path is not None:
      path.parent.mkdir(parents=True, exist_ok=True)
      files.write_json(path, record)
  return path


def _same(old: Mapping, new: Mapping) -> bool:
  try:
    same = conditions(old["config"]) == conditions(new["config"])
  except (KeyError, TypeError, AttributeError, ValueError, UserError):
    return False  # whatever it is, it stays
  return same and (IMAGES not in old or old[IMAGES] == new.get(IMAGES))


def _read(path: pathlib.Path) -> dict | None:
  """Returns a record, None where there is none or where a file is torn, which nobody misses."""
  try:
    stored = json.loads(path.read_text(encoding="utf-8"))
  except (OSError, ValueError, RecursionError):
    return None
  return stored if isinstance(stored, dict) else None


def _mismatch(changed: Mapping) -> bool:
  """Says whether the network saw something else than in training."""
  return any(not key.startswith(("eval.", "data.name", "data.render")) for key in changed)


def _hash(values: Mapping) -> str:
  return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _safe(word: str) -> str:
  """Keeps a word to what any file system takes; a dot parts words."""
  return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in word)[:60]
