"""Config keys: flat names, and suggestions for unknown ones."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from ml_collections import ConfigDict, FieldReference
from ml_collections.config_dict import RequiredValueError

from vireid_jax.common.errors import UserError, shown
from vireid_jax.config import moved

# Keys that a config may leave out, with their defaults. `data.render`, a preset of rendered images
# that replace the real ones, is for tests and the variant 'smoke'.
OPTIONAL = {"data.render": ""}
DEEPEST = 20  # nested sections
# Names of our keys in other code bases; of two, the first one that the config has.
ALIASES = {
  "learning_rate": "optim.lr",
  "base_lr": "optim.lr",
  "optimizer": "optim.name",
  "optimiser": "optim.name",
  "wd": "optim.weight_decay",
  "lr_mult": "optim.lr_multipliers",
  "warmup_epochs": "optim.warmup",
  "warmup_steps": "optim.warmup",
  "milestones": "optim.decay_at",
  "scheduler": "optim.schedule",
  "lr_schedule": "optim.schedule",
  "steps": "train.duration",
  "epochs": "train.duration",
  "num_epochs": "train.duration",
  "max_epochs": "train.duration",
  "num_steps": "train.duration",
  "num_train_steps": "train.duration",
  "total_steps": "train.duration",
  "batch_size": "sampler.num_identities",
  "num_pos": "sampler.num_instances",
  "random_seed": "seed",
  "weights": "pretrained",
  "checkpoint_path": "pretrained",
  "dataset": "data.name",
  "data_dir": "data.dir",
  "root": "data.dir",
  "height": "data.image_size",
  "width": "data.image_size",
  "img_size": "data.image_size",
  "resolution": "data.image_size",
  "split": "data.trial",
  "fold": "data.trial",
  "backbone": "method.backbone method.depth",
  "arch": "method.backbone method.depth",
  "model": "method.name",
  "precision": "numerics.dtype",
  "dtype": "numerics.dtype",
  "save_every": "checkpoint.every",
  "eval_every": "eval.every",
  "log_every": "log.every",
  "test_batch": "eval.batch",
  "reranking": "eval.rerank",
  "accum_steps": "train.accumulate",
  "gradient_accumulation": "train.accumulate",
}


def plain(config: ConfigDict, *, depth: int = 0) -> dict:
  """Returns a config's values as nested dictionaries; a placeholder without a value is None.

  Args:
    config: Any config.
    depth: Number of sections around it.

  Raises:
    UserError: The config contains itself, or is nested too deeply.
  """
  if depth > DEEPEST:
    raise UserError(f"the config has sections {DEEPEST} deep; does one of them contain itself?")
  tree = {}
  for key, value in config.iteritems(preserve_field_references=True):
    if isinstance(value, FieldReference):
      try:
        value = value.get()
      except RequiredValueError:
        value = None
    tree[key] = plain(value, depth=depth + 1) if isinstance(value, ConfigDict) else value
  return tree


def flatten(tree: Mapping[str, Any], *, whole: Collection[str] = (), prefix: str = "") -> dict:
  """Flattens nested mappings to 'a.b.c' -> value; an empty mapping is a value.

  Args:
    tree: Nested mappings with string keys.
    whole: Flat names of mappings that are kept as values.
    prefix: Prefix of all names.
  """
  flat = {}
  for key, value in tree.items():
    name = f"{prefix}{key}"
    if isinstance(value, Mapping) and value and name not in whole:
      flat |= flatten(value, whole=whole, prefix=f"{name}.")
    else:
      flat[name] = value
  return flat


def suggest(key: str, known: Collection[str]) -> str:
  """Suggests existing keys for an unknown one.

  Args:
    key: Flat key, as given.
    known: All flat keys.

  Returns:
    "did you mean config.optim.lr?", or a list of the section's keys.
  """
  if reason := moved.explain(key):
    return reason
  found = _alias(key, known) or _elsewhere(key, known) or _similar(key, known)
  if found:
    return "did you mean " + " or ".join(f"config.{name}" for name in found) + "?"
  parent = key.rpartition(".")[0]
  while parent and not any(name.startswith(f"{parent}.") for name in known):
    parent = parent.rpartition(".")[0]
  depth = parent.count(".") + 1 if parent else 0
  inside = [name for name in known if not parent or name.startswith(f"{parent}.")]
  names = sorted({name.split(".")[depth] for name in inside})
  return f"{f'config.{parent}' if parent else 'config'} has: {', '.join(names)}"


def unknown(key: str, known: Collection[str], *, option: str = "") -> str:
  """Returns the error message for an unknown key.

  Args:
    key: Flat key, as given.
    known: All flat keys.
    option: '--' for a key given on the command line.
  """
  return f"{option}config.{shown(key)[1:-1]}: no such key; {suggest(key, known)}"


def _alias(key: str, known: Collection[str]) -> list[str]:
  names = ALIASES.get(_last(key).lower(), "").split()
  return [name for name in names if name in known][:1]


def _elsewhere(key: str, known: Collection[str]) -> list[str]:
  """Returns keys of the same name in other sections."""
  return sorted(name for name in known if _last(name) == _last(key))[:3]


def _similar(key: str, known: Collection[str]) -> list[str]:
  parent = key[:100].rpartition(".")[0]
  beside = [name for name in known if name.rpartition(".")[0] == parent]
  near = difflib.get_close_matches(_last(key[:100]), map(_last, beside), n=2, cutoff=0.6)
  if near:
    return [f"{parent}.{name}" if parent else name for name in near]
  return difflib.get_close_matches(key[:100], known, n=2, cutoff=0.75)


def _last(key: str) -> str:
  return key.rpartition(".")[2]
