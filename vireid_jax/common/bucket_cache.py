"""Copies of what is in buckets, for libraries that read only files of this machine.

A copy is made once per machine and kept in the user's cache folder, in the same folders as in the
bucket. It is complete when every file has the size and the fingerprint that the bucket tells.
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from vireid_jax.common import files, paths, progress
from vireid_jax.common.errors import UserError, printable

CACHE_VARIABLE = "XDG_CACHE_HOME"
BLOCK = 16 << 20  # bytes read at once
PART = ".part"  # suffix of a file whose copy is not complete
SEEN = ".fingerprints.json"  # in each folder of the cache: fingerprint of each copied file
LOCK = ".copying.lock"


def folder() -> pathlib.Path:
  """Returns the folder of all copies."""
  cache = os.environ.get(CACHE_VARIABLE) or "~/.cache"
  return pathlib.Path(cache).expanduser() / "vireid_jax" / "buckets"


def local(place: pathlib.Path) -> pathlib.Path:
  """Returns a path of this machine with the content of a file or folder.

  Args:
    place: Path; if it is in a bucket, missing and changed files are copied first, each from where
      an earlier copy was stopped. Processes of one machine copy one after another.

  Raises:
    UserError: A file changes while it is copied, or the cache cannot be written.
  """
  if not paths.is_remote(place):
    return place
  found = {"": place.info()} if place.is_file() else place.files()
  copy = folder().joinpath(*place.parts[2:])
  root = copy if "" not in found else copy.parent
  with files.writing(root, f"cache folder with ${CACHE_VARIABLE}"):
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
      _update(place, copy, root, found)
  return copy


def _update(place, copy: pathlib.Path, root: pathlib.Path, found: dict[str, dict]) -> None:
  known = _read(root / SEEN)
  missing = {
    name: facts for name, facts in found.items() if not _is_copied(copy / name, facts, root, known)
  }
  total = sum(facts["size"] for facts in missing.values())
  if not missing:
    return
  with progress.part(f"copying {printable(str(place))}", total, "MB", scale=1e-6) as activity:
    for name, facts in missing.items():
      _copy(place / name if name else place, facts, copy / name, activity)
      known[_relative(copy / name, root)] = _fingerprint(facts)
      files.write_json(root / SEEN, known)


def _is_copied(path: pathlib.Path, facts: dict[str, Any], root: pathlib.Path, known: dict) -> bool:
  same = known.get(_relative(path, root)) == _fingerprint(facts)
  return same and path.is_file() and path.stat().st_size == facts["size"]


def _relative(path: pathlib.Path, root: pathlib.Path) -> str:
  return path.relative_to(root).as_posix()


def _fingerprint(facts: dict[str, Any]) -> str:
  """Returns a text that changes with an object's content."""
  return str(facts.get("md5Hash") or facts.get("crc32c") or facts.get("generation"))


def _copy(source, facts: dict[str, Any], target: pathlib.Path, activity) -> None:
  """Copies an object, going on after the bytes that an earlier attempt has copied."""
  target.parent.mkdir(parents=True, exist_ok=True)
  mark = hashlib.sha256(_fingerprint(facts).encode()).hexdigest()[:12]
  partial = target.with_name(f".{target.name}.{mark}{PART}")
  with partial.open("ab") as file:
    activity.advance(file.tell())
    while file.tell() < facts["size"]:
      block = source.read_range(file.tell(), min(file.tell() + BLOCK, facts["size"]))
      if not block:
        break
      file.write(block)
      file.flush()
      activity.advance(len(block))
  if not _is_whole(partial, facts):
    partial.unlink()
    raise UserError(
      f"the copy of {printable(str(source))} differs from its fingerprint: it was replaced or "
      "damaged on the way. Start the same command again"
    )
  partial.replace(target)


def _is_whole(path: pathlib.Path, facts: dict[str, Any]) -> bool:
  """Returns whether a file has an object's size and, if the bucket tells one, its MD5."""
  if path.stat().st_size != facts["size"]:
    return False
  if not facts.get("md5Hash"):  # objects made of several have none
    return True
  with path.open("rb") as file:
    digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
  return base64.b64encode(digest).decode() == facts["md5Hash"]


def _read(path: pathlib.Path) -> dict[str, str]:
  """Returns the stored fingerprints; none if the file is missing or damaged."""
  try:
    stored = json.loads(path.read_bytes())
  except (OSError, ValueError, RecursionError):
    return {}
  return stored if isinstance(stored, dict) else {}


@contextlib.contextmanager
def _alone(root: pathlib.Path) -> Iterator[None]:
  """Keeps other processes of this machine from copying into the same folder."""
  with (root / LOCK).open("ab") as file:
    with contextlib.suppress(OSError):  # without locks, both copy and the last to finish wins
      fcntl.flock(file, fcntl.LOCK_EX)
    yield
