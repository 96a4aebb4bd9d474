"""Compares and stores configs."""

import json
import pathlib
from collections.abc import Mapping

from ml_collections import ConfigDict

from vireid_jax.common import files
from vireid_jax.common.errors import UserError
from vireid_jax.config import keys, moved

# Keys that may differ between a checkpoint and the command that continues it: they affect
# monitoring and duration, not completed steps.
FREE_TO_CHANGE = ("checkpoint", "data.dir", "data.placement", "eval", "log", "train.duration")


def split_name(config: Mapping, text: str) -> str:
  """Replaces {trial} in the name of a split: 'test_{trial}' becomes 'test_3'."""
  return text.format(trial=config["data"]["trial"])


def differences(old: dict, new: dict, free: tuple[str, ...] = FREE_TO_CHANGE) -> list[str]:
  """Lists the differences of two configs in keys that a continued run may not change.

  Args:
    old: Plain nested dictionary of the first config.
    new: That of the second one.
    free: Keys, or sections, that may differ.

  Returns:
    A line 'key: old -> new' per difference, sorted; empty if the run may continue.
  """
  old, new = (keys.OPTIONAL | keys.flatten(each) for each in (old, new))
  lines = []
  for key in sorted(old.keys() | new.keys()):
    before, after = old.get(key, "(absent)"), new.get(key, "(absent)")
    is_free = any(key == name or key.startswith(f"{name}.") for name in free)
    if before != after and not is_free:
      lines.append(f"{key}: {before!r} -> {after!r}")
  return lines


def refuse_old(stored: Mapping, what: str) -> None:
  """Raises UserError for a stored config with keys of an earlier version.

  Args:
    stored: Config as plain nested values.
    what: Name of what it was stored with, such as 'runs/a, checkpoint 100'.
  """
  if "numerics" in stored:
    return
  found = [(key, moved.explain(key)) for key in keys.flatten(stored) if moved.explain(key)]
  if found:
    key, reason = found[0]
    raise UserError(
      f"{what} was written by an earlier version of vireid_jax: its config has config.{key}, and "
      f"{reason} ({len(found)} such keys). Train again, or use the version that wrote it: "
      "manifest.json in the workdir names its commit"
    )


def to_dict(config: ConfigDict) -> dict:
  """Returns the config as JSON values: plain dictionaries, lists instead of tuples."""
  return json.loads(config.to_json_best_effort())


def to_text(config: ConfigDict) -> str:
  """Returns the config as indented JSON, with a final newline."""
  return json.dumps(to_dict(config), indent=2, sort_keys=True) + "\n"


def save(config: ConfigDict, path: pathlib.Path) -> None:
  """Writes the config as indented JSON."""
  files.write_text(path, to_text(config))


def with_tuples(value):
  """Converts the lists of a config stored as JSON back to tuples."""
  if isinstance(value, Mapping):
    return {key: with_tuples(item) for key, item in value.items()}
  return tuple(map(with_tuples, value)) if isinstance(value, list) else value
