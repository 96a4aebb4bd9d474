"""Index of a gallery's features in a file; updates embed only new and changed pictures."""

import dataclasses
import json
import os
import pathlib
import zipfile

import numpy as np

from vireid_jax.common import files, units
from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.retrieval import pictures
from vireid_jax.retrieval.model import Model, check_modality

FORMAT = 2  # since 2, pictures are turned by their EXIF orientation


@dataclasses.dataclass(frozen=True)
class Index:
  """Features of a gallery's files.

  Attributes:
    key: Text that changes with the checkpoint, the modality, and any setting that affects features.
    names: Paths of the pictures, relative to the gallery, sorted.
    features: float32 [n, d].
    stamps: (bytes, nanoseconds of the last change) by name, of pictures and skipped files.
    skipped: Reason by name of each file that is not a picture, or is damaged.
  """

  key: str
  names: list[str]
  features: np.ndarray
  stamps: dict[str, tuple[int, int]]
  skipped: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Changes:
  """Changes made by an update.

  Attributes:
    reason: Reason why all pictures were embedded; '' if an existing index was updated.
    added, changed, removed, kept: Numbers of pictures.
  """

  reason: str
  added: int
  changed: int
  removed: int
  kept: int

  def __str__(self) -> str:
    if self.reason:
      return f"{self.reason}: embedded {self.added} pictures"
    if not (self.added or self.changed or self.removed):
      return f"unchanged, {self.kept} pictures"
    return (
      f"{self.added} pictures added, {self.changed} changed, {self.removed} removed, "
      f"{self.kept} kept"
    )


def key_of(model: Model, modality: str) -> str:
  """Returns the key of an index: a text for the checkpoint, its feature, and the modality."""
  return f"{model.fingerprint()}-{modality}"


def update(
  model: Model,
  gallery: str | os.PathLike,
  modality: str,
  path: pathlib.Path,
  *,
  progress: bool = False,
) -> tuple[Index, Changes]:
  """Updates the index of a gallery, or creates it.

  A file is unchanged if its size and modification time are. An index of another checkpoint or
  modality, or an unreadable one, is rebuilt.

  Args:
    model: Model that embeds new pictures.
    gallery: Folder, searched recursively.
    modality: Modality of all pictures, 'visible' or 'infrared'.
    path: Path of the index; it is written only if anything changed.
    progress: Whether to show a progress bar.

  Raises:
    UserError: The folder does not exist, or the index cannot be written or is not a regular file.
  """
  check_modality(modality)
  old, reason = _usable(path, key_of(model, modality))
  names, refused = pictures.find(gallery)
  root = pictures.folder_of(gallery)
  names = [name for name in names if (root / name).absolute() != path.absolute()]
  stamps = {name: _stamp(root / name) for name in names}
  known = {name for name, stamp in stamps.items() if old.stamps.get(name) == stamp}
  fresh = [name for name in names if name not in known]
  features, failed = model.embed_files([root / n for n in fresh], modality, progress=progress)
  skipped = {n: why for n, why in old.skipped.items() if n in known}
  skipped |= {fresh[row]: why for row, why in failed.items()}
  embedded = [name for row, name in enumerate(fresh) if row not in failed]
  index = _merged(old, known, embedded, features, stamps, skipped)
  changes = _compare(old, index, set(embedded), reason)
  if reason or fresh or old.stamps != stamps:
    save(index, path)
  return dataclasses.replace(index, skipped=skipped | refused), changes


def save(index: Index, path: pathlib.Path) -> None:
  """Writes an index atomically.

  Raises:
    UserError: The index cannot be written.
  """
  header = {
    "format": FORMAT,
    **units.entry(units.INDEX),
    "key": index.key,
    "names": index.names,
    "stamps": index.stamps,
    "skipped": index.skipped,
  }
  # JSON escapes any bytes in file names; NumPy's text arrays would not.
  packed = np.frombuffer(json.dumps(header).encode("ascii"), np.uint8)
  with files.new_file(path, "--index") as file:
    np.savez(file, header=packed, features=index.features)


def load(path: pathlib.Path) -> Index | None:
  """Reads an index; None if the file is not an index, is damaged, or has another format."""
  try:
    with regular_files.opened(path) as file:
      with zipfile.ZipFile(file) as members:  # indexes are not compressed; this refuses zip bombs
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.infolist()):
          return None
      file.seek(0)
      with np.load(file) as arrays:
        header, features = json.loads(bytes(arrays["header"])), arrays["features"]
    found = Index(
      key=header["key"],
      names=header["names"],
      features=features,
      stamps={name: tuple(stamp) for name, stamp in header["stamps"].items()},
      skipped=header["skipped"],
    )
    return found if header["format"] == FORMAT and _is_sound(found) else None
  except Exception:  # NumPy, zipfile and missing keys raise many kinds; the index is rebuilt
    return None


def _is_sound(index: Index) -> bool:
  """Returns whether all values have their types, and each file is either a picture or skipped."""
  names, skipped = index.names, index.skipped
  texts = [index.key, *names, *skipped, *skipped.values()]
  numbers = [number for stamp in index.stamps.values() for number in stamp]
  return (
    all(isinstance(text, str) for text in texts)
    and all(type(number) is int for number in numbers)
    and all(len(stamp) == 2 for stamp in index.stamps.values())
    and names == sorted(set(names))
    and sorted(index.stamps) == sorted([*names, *skipped])
    and index.features.dtype == np.float32
    and index.features.ndim == 2
    and len(index.features) == len(names)
    and bool(np.isfinite(index.features).all())
  )


def _usable(path: pathlib.Path, key: str) -> tuple[Index, str]:
  """Returns the index to start from and, if it is empty, the reason."""
  empty = Index(key, [], np.empty((0, 0), np.float32), {}, {})
  if not os.path.lexists(path):
    return empty, "no index yet"
  if not regular_files.is_regular(path):
    raise UserError(f"{printable(str(path))} is not a regular file; give another path with --index")
  old = load(path)
  if old is None:
    return empty, "the index could not be read"
  if old.key != key:
    return empty, "the index belonged to another checkpoint or modality"
  return old, ""


def _merged(old: Index, known: set[str], embedded: list[str], features, stamps, skipped) -> Index:
  rows = [row for row, name in enumerate(old.names) if name in known]
  names = [*(old.names[row] for row in rows), *embedded]
  if rows:
    features = np.concatenate([old.features[rows], features])
  order = sorted(range(len(names)), key=names.__getitem__)
  return Index(old.key, [names[row] for row in order], features[order], stamps, skipped)


def _compare(old: Index, new: Index, embedded: set[str], reason: str) -> Changes:
  before, after = set(old.names), set(new.names)
  return Changes(
    reason,
    added=len(after - before),
    changed=len(after & before & embedded),
    removed=len(before - after),
    kept=len((after & before) - embedded),
  )


def _stamp(path: pathlib.Path) -> tuple[int, int]:
  """Returns (bytes, nanoseconds of the last change); (-1, -1) for a broken link."""
  try:
    facts = path.stat()
  except OSError:
    return -1, -1
  return facts.st_size, facts.st_mtime_ns
