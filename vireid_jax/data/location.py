"""Where prepared data sets lie, without importing the library that wrote them."""

import os
import pathlib
import re

from vireid_jax import folders
from vireid_jax.errors import UserError

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def default_data_dir() -> pathlib.Path:
  """Returns $TFDS_DATA_DIR, or ~/tensorflow_datasets where that is not set."""
  return pathlib.Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepare_command(name: str, data_dir=None) -> str:
  """Returns the command line that prepares data set `name` in `data_dir`."""
  manual = "" if name.startswith("vireid_synthetic") else " --manual_dir DIR"
  place = "" if data_dir is None else f" --data_dir {data_dir}"
  return f"python -m vireid_jax.prepare {name}{manual}{place}"


def prepared_versions(name: str, data_dir=None) -> list[pathlib.Path]:
  """Returns the folders of the complete prepared versions of `name`, oldest first."""
  folder = pathlib.Path(data_dir or default_data_dir()).expanduser() / name
  for path in folders.moved_away(folder):
    folders.recover(path)
  found = []
  for path in folder.iterdir() if folder.is_dir() else ():
    version = _VERSION.fullmatch(path.name)
    if version and (path / "dataset_info.json").is_file():
      found.append((tuple(map(int, version.groups())), path))
  return [path for _, path in sorted(found)]


def dataset_folder(name: str, data_dir=None) -> pathlib.Path:
  """Returns the folder of the newest prepared version of a data set.

  Args:
    name: data set, with its configuration where it has one: `regdb`, `vireid_synthetic/quick`.
    data_dir: the root of all prepared data sets; None for `default_data_dir()`.

  Returns:
    For example `~/tensorflow_datasets/regdb/1.0.0`.

  Raises:
    UserError: nothing is prepared there; names the command that prepares it.
  """
  versions = prepared_versions(name, data_dir)
  if not versions:
    place = pathlib.Path(data_dir or default_data_dir()).expanduser()
    state = "has no prepared" if place.is_dir() else "does not exist, so it has no prepared"
    raise UserError(
      f"{place} {state} data set {name!r}. Prepare it with\n  {prepare_command(name, data_dir)}"
    )
  return versions[-1]
