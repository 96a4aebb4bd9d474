"""Digests of a checkpoint's files: what a disk or a copy damaged is noticed before it is read.

Orbax's readers check some of what they read. A flipped bit in an array passes them and becomes a
wrong number; other damage ends in an error of a library far below, or in a crash.
"""

import hashlib
import json
import pathlib

from vireid_jax.common import files
from vireid_jax.common.workdir_files import DIGESTS


def write(folder: pathlib.Path) -> None:
  """Writes the SHA-256 of every file in a checkpoint's folder, beside them."""
  paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
  digests = {path.relative_to(folder).as_posix(): _digest(path) for path in paths}
  files.write_json(folder / DIGESTS, digests)


def check(folder: pathlib.Path, *names: str) -> None:
  """Compares files with their digests.

  Args:
    folder: of the checkpoint.
    *names: of files in it; all that have digests when none is named.

  Raises:
    ValueError: a file is missing or has changed. A checkpoint without digests passes: its run was
      killed just after the save, or is older than they are.
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
