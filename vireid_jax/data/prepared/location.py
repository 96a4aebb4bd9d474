"""Where prepared data sets are; needs no TFDS."""

import json
import os
import pathlib
import re
from typing import Any

from vireid_jax.common import bucket_cache, folders, hints, paths
from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files

METADATA_FILE = "metadata.json"
INFO_FILE = "dataset_info.json"  # TFDS writes it last
RENDERED_FOLDER = "rendered"  # below the root: rendered replacements of the benchmarks
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def default_data_dir() -> pathlib.Path:
  """Returns $TFDS_DATA_DIR, or ~/tensorflow_datasets if that is not set."""
  return regular_files.anywhere(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def prepare_command(name: str, data_dir=None) -> str:
  """Returns the command line that prepares the data set `name` in `data_dir`."""
  manual = () if name.startswith("vireid_synthetic") else ("--manual_dir", "DIR")
  place = () if data_dir is None else ("--data_dir", data_dir)
  return hints.command("prepare", name, *manual, *place)


def prepared_versions(name: str, data_dir=None) -> list[pathlib.Path]:
  """Returns the folders of the complete prepared versions of `name`, oldest first."""
  folder = regular_files.anywhere(data_dir or default_data_dir()) / name
  if not _is_folder(folder):
    return []
  for path in folders.moved_away(folder):
    folders.recover(path)
  found = []
  for path in folder.iterdir():
    version = _VERSION.fullmatch(path.name)
    if version and (path / INFO_FILE).is_file():
      found.append((tuple(map(int, version.groups())), path))
  return [path for _, path in sorted(found)]


def dataset_folder(name: str, data_dir=None) -> pathlib.Path:
  """Returns the folder of the newest prepared version of a data set.

  Args:
    name: Data set, with its preset if it has one: `regdb`, `vireid_synthetic/quick`.
    data_dir: Root of all prepared data sets; None for `default_data_dir()`.

  Returns:
    For example `~/tensorflow_datasets/regdb/1.0.0`.

  Raises:
    UserError: The data set is not prepared there; the message gives the command that prepares it.
  """
  versions = prepared_versions(name, data_dir)
  if not versions:
    place = regular_files.anywhere(data_dir or default_data_dir())
    state = "has no prepared" if _is_folder(place) else "is not a folder, so it has no prepared"
    raise UserError(
      f"{printable(str(place))} {state} data set {name!r}. Prepare it with\n  "
      + printable(prepare_command(name, data_dir))
    )
  return versions[-1]


def _is_folder(path: pathlib.Path) -> bool:
  if paths.is_remote(path):
    return path.is_dir()
  return os.path.isdir(path)  # noqa: PTH112 (pathlib raises for names that are too long)


def read_metadata(folder: pathlib.Path) -> dict[str, Any]:
  """Returns the metadata that a builder recorded.

  Args:
    folder: Folder of a prepared version.

  Raises:
    OSError, ValueError, UserError: The file cannot be read, or is not such metadata.
  """
  found = json.loads(regular_files.read_bytes(folder / METADATA_FILE))
  subsets = found.get("subsets") if isinstance(found, dict) else None
  if not isinstance(subsets, dict) or not isinstance(found.get("synthetic"), bool):
    raise ValueError("it lacks the keys 'synthetic' and 'subsets'")
  for name, subset in subsets.items():
    if not isinstance(subset, dict) or not isinstance(subset.get("split"), str):
      raise ValueError(f"its subset {printable(name)} names no split")
    identities = subset.get("identities")
    if not isinstance(identities, list) or not all(type(i) is int for i in identities):
      raise ValueError(f"its subset {printable(name)} lists no identities")
  return found


def damaged(name: str, folder: pathlib.Path, what: str, error: BaseException) -> UserError:
  """Returns the error for a prepared data set that cannot be read.

  Args:
    name: Name of the data set.
    folder: Folder of the prepared version.
    what: What could not be read, such as a file.
    error: The error that reading it raised.
  """
  root = folder.parents[len(name.split("/"))]
  reason = printable(str(error).partition("\n")[0][:300]) or type(error).__name__
  if RENDERED_FOLDER in root.parts:
    advice = f"Delete {printable(str(folder))}: the next start renders it again"
  else:
    advice = f"Prepare it again with\n  {printable(prepare_command(name, root))} --overwrite"
  if bucket_cache.folder() in folder.parents:
    advice = f"Delete {printable(str(folder))}: the next start copies it again"
  place = printable(str(folder))
  return UserError(
    f"{what} of the prepared data set {name} in {place} cannot be read ({reason}). {advice}"
  )


def stored_world(folder: pathlib.Path) -> dict[str, Any] | None:
  """Returns the settings that a prepared data set was rendered with; None if unknown."""
  try:
    return read_metadata(folder).get("world")
  except (OSError, ValueError, RecursionError, UserError):
    return None
