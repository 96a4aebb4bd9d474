"""Digests of a checkpoint's files, to detect damage before it is read.

Orbax's readers check only some of what they read: a flipped bit in an array becomes a wrong number
unnoticed, and other damage ends in a low-level error or a crash.
"""

import hashlib
import json
import pathlib

from vireid_jax.common import files
from vireid_jax.common.workdir_files import DIGESTS


def write(folder: pathlib.Path) -> None:
  """Writes the SHA-256 of every file in a checkpoint folder into the folder."""
  paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
  digests = {path.relative_to(folder).as_posix(): _digest(path) for path in paths}
  files.write_json(folder / DIGESTS, digests)


def check(folder: pathlib.Path, *names: str) -> None:
  """Compares files with their digests.

  Args:
    folder: Folder of the checkpoint.
    *names: Names of files in it; all files with digests if none is given.

  Raises:
    ValueError: A file is missing or has changed. A checkpoint without digests passes: its run was
      killed just after the save, or is older than the digests.
  """
  digests = _read(folder)
  for name in names or digests:
    path = folder / name
    if name not in digests:
      continue
    if not path.is_file():
      raise ValueError(f"its file {name} is missing")
    if _digest(path) != digests[name]:
      raise ValueError(f"its file {name} is not as it was saved")


def _read(folder: pathlib.Path) -> dict[str, str]:
  path = folder / DIGESTS
  if not path.is_file():
    return {}
  try:
    digests = json.loads(path.read_bytes())
  except (ValueError, RecursionError):
    digests = None
  if not isinstance(digests, dict) or not all(isinstance(x, str) for x in digests.values()):
    raise ValueError(f"its file {DIGESTS} is damaged")
  return digests


def _digest(path: pathlib.Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()
