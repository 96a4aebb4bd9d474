"""Names of table rows: the run, and the settings in which the runs differ."""

from collections.abc import Mapping

from vireid_jax.common import paths as paths_lib
from vireid_jax.common.errors import printable
from vireid_jax.config import keys as config_keys
from vireid_jax.report.records import Run

# Training settings that do not affect the trained network, so they are not listed.
UNREMARKED = ("checkpoint", "data.dir", "data.placement", "eval", "log")
KEYS = 4  # settings listed in a row
ABSENT = "(absent)"


def names(runs: Mapping[str, list[Run]]) -> dict[str, str]:
  """Returns the name of each item's row.

  Args:
    runs: Records of each item of `--workdir`, at least one per item.

  Returns:
    By item, its shortest distinct path and the settings in which the items differ, such as
    'mun_a (optim.lr 0.1)'.
  """
  short, differing = shortest(list(runs)), _differing(runs)
  found = {}
  for item in runs:
    words = [f"{key} {value}" for key, value in list(differing[item].items())[:KEYS]]
    more = len(differing[item]) - KEYS
    words += [f"{more} more"] if more > 0 else []
    found[item] = printable(short[item]) + (f" ({', '.join(words)})" if words else "")
  return found


def shortest(items: list[str]) -> dict[str, str]:
  """Returns each path relative to their common folder; of a single path, its last component."""
  paths = {item: paths_lib.path(item).absolute() for item in items}
  if len(set(paths.values())) == 1:
    # For a glob such as runs/agw/*, the star is not informative.
    return {
      item: "/".join(path.parts[-2:] if "*" in path.name else path.parts[-1:])
      for item, path in paths.items()
    }
  shared = paths_lib.common_folder(list(paths.values()))
  return {item: paths_lib.below(path, shared) for item, path in paths.items()}


def _differing(runs: Mapping[str, list[Run]]) -> dict[str, dict[str, str]]:
  """Returns, by item, the training settings that differ between items, with their values."""
  settings = {item: _settings(found) for item, found in runs.items()}
  keys = sorted(set().union(*settings.values()))
  if len({each.get("method.name") for each in settings.values()}) > 1:
    # The label names the method, and options of different methods cannot be compared.
    keys = [key for key in keys if not key.startswith("method.")]
  varied = [key for key in keys if len({each.get(key, ABSENT) for each in settings.values()}) > 1]
  return {
    item: {key: each[key] for key in varied if key in each} for item, each in settings.items()
  }


def _settings(runs: list[Run]) -> dict[str, str]:
  """Returns the training settings that an item's runs share, as text by key."""
  each = [config_keys.flatten(run.stored["trained"]) for run in runs]
  return {
    key: str(value)
    for key, value in each[0].items()
    if all(other.get(key) == value for other in each)
    and not any(key == name or key.startswith(f"{name}.") for name in UNREMARKED)
  }
