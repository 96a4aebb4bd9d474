"""Places of indexes: a file per gallery, modality and checkpoint, by default in a cache folder."""

import hashlib
import os
import pathlib
from collections.abc import Sequence

from vireid_jax.common import files
from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.retrieval import index
from vireid_jax.retrieval.pictures import INDEX

CACHE_VARIABLE = "XDG_CACHE_HOME"
NAME_BYTES = 80  # of the gallery's name in the name of its index
DIGITS = 12  # of a digest in the name of an index


def cache_folder() -> pathlib.Path:
  """Returns the default folder of indexes, in the user's cache folder."""
  cache = os.environ.get(CACHE_VARIABLE) or "~/.cache"
  return regular_files.expanded(cache) / "vireid_jax" / "index"


def check(given: str | None, galleries: Sequence[str]) -> None:
  """Checks the option --index before minutes of work.

  Args:
    given: Value of the option; None for the cache folder.
    galleries: Folders of pictures.

  Raises:
    UserError: It cannot be written, is a gallery, or is one file for several galleries.
  """
  path = cache_folder() if given is None else regular_files.expanded(given)
  if _is_folder(path):
    if path.resolve() in {regular_files.expanded(place).resolve() for place in galleries}:
      raise UserError(
        f"--index={printable(str(path))} is the folder of the pictures; name another folder, or "
        "leave it out to keep indexes in the cache folder"
      )
    files.check_writable(path, "--index")
    return
  files.check_file(path, "--index")
  if len(galleries) > 1:
    raise UserError(
      f"--index={printable(str(path))} is one file, but there are {len(galleries)} galleries; name "
      "a folder, which keeps an index per gallery"
    )


def find(given: str | None, gallery: str, key: str, modality: str) -> tuple[pathlib.Path, str]:
  """Returns the path of an index, and a note on an older index ('' if there is nothing to say).

  Indexes of other checkpoints are never overwritten.

  Args:
    given: Value of --index, a folder or a file; None for the cache folder.
    gallery: Folder of pictures.
    key: Key of the index; see `index.key_of`.
    modality: Modality of the gallery.
  """
  path = cache_folder() if given is None else regular_files.expanded(given)
  if not _is_folder(path):
    return _own_file(path, key)
  path = path / _name(gallery, key, modality)
  return path, "" if path.exists() else _take_over(path, gallery, key, modality)


def folder(given: str | None) -> pathlib.Path:
  """Returns the folder of further files of an index.

  Args:
    given: Value of --index, a folder or a file; None for the cache folder.
  """
  path = cache_folder() if given is None else regular_files.expanded(given)
  return path if _is_folder(path) else path.parent


def beside(gallery: str, modality: str) -> pathlib.Path:
  """Returns the place of the index in versions that kept it next to the gallery."""
  place = regular_files.expanded(gallery).absolute()
  return place.with_name(f"{place.name}.{modality}{INDEX}")


def _is_folder(path: pathlib.Path) -> bool:
  """Returns whether --index names a folder: an existing one, or a new name without a suffix."""
  return path.is_dir() or not (path.suffix or os.path.lexists(path))


def _own_file(path: pathlib.Path, key: str) -> tuple[pathlib.Path, str]:
  """Returns the given file, or one with the checkpoint's digest if it has another's index."""
  found = index.load(path) if path.exists() else None
  if found is None or found.key == key:
    return path, ""
  other = path.with_name(f"{path.stem}.{_digest(key)}{path.suffix}")
  return other, f"{printable(str(path))} is of another checkpoint or modality, and is kept"


def _take_over(path: pathlib.Path, gallery: str, key: str, modality: str) -> str:
  """Copies an index that an earlier version kept next to the gallery; returns a note."""
  old = beside(gallery, modality)
  if not regular_files.is_regular(old):
    return ""
  found, name = index.load(old), printable(str(old))
  if found is None or found.key != key:
    return f"{name}, of another checkpoint or damaged, is not read; it can be deleted"
  index.save(found, path)
  return f"taken over from {name}, which is no longer read and can be deleted"


def _name(gallery: str, key: str, modality: str) -> str:
  place = regular_files.expanded(gallery).resolve()
  start = os.fsdecode(os.fsencode(place.name)[:NAME_BYTES]) or "root"
  return f"{start}-{_digest(str(place))}.{modality}.{_digest(key)}{INDEX}"


def _digest(text: str) -> str:
  return hashlib.sha256(os.fsencode(text)).hexdigest()[:DIGITS]
