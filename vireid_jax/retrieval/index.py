"""The features of a gallery in a file: made once, then only what came, changed or went."""

import dataclasses
import json
import os
import pathlib
import zipfile

import numpy as np

from vireid_jax.common import files
from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.retrieval import pictures
from vireid_jax.retrieval.model import Model, check_modality

FORMAT = 2  # since 2 pictures are turned as their EXIF orientation says


@dataclasses.dataclass(frozen=True)
class Index:
  """What is known of a gallery's files.

  Attributes:
    key: changes with the checkpoint, the modality, or whatever else decides a feature.
    names: of the pictures, relative to the gallery, sorted.
    features: float32 [n, d].
    stamps: (bytes, nanoseconds of the last change) by name, of pictures and skipped files.
    skipped: the reason by name of each file that is no picture, or damaged.
  """

  key: str
  names: list[str]
  features: np.ndarray
  stamps: dict[str, tuple[int, int]]
  skipped: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Changes:
  """What an update did.

  Attributes:
    reason: why everything was embedded anew; '' where an older index was brought up to date.
    added, changed, removed, kept: numbers of pictures.
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


def default_path(gallery: str | os.PathLike, modality: str) -> pathlib.Path:
  """Returns where a gallery's index is kept: beside its folder, one per modality."""
  place = regular_files.expanded(gallery).absolute()
  return place.with_name(f"{place.name}.{modality}.index.npz")


def update(
  model: Model,
  gallery: str | os.PathLike,
  modality: str,
  path: pathlib.Path,
  *,
  progress: bool = False,
) -> tuple[Index, Changes]:
  """Brings the index of a gallery up to date, or makes it.

  A file counts as unchanged when its size and the time of its last change are the same. An index
  of another checkpoint or modality, or one that cannot be read, is made anew.

  Args:
    model: embeds what is new.
    gallery: a folder, searched recursively.
    modality: 'visible' or 'infrared', of all its pictures.
    path: of the index; written when anything changed.
    progress: show a bar while embedding.

  Raises:
    UserError: no such folder, or the index cannot be written or is not a regular file.
  """
  check_modality(modality)
  old, reason = _usable(path, f"{model.fingerprint()}-{modality}")
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
  """Writes an index so that a reader finds the old or the new one, never a part.

  Raises:
    UserError: it cannot be written, and why.
  """
  header = {
    "format": FORMAT,
    "key": index.key,
    "names": index.names,
    "stamps": index.stamps,
    "skipped": index.skipped,
  }
  # JSON escapes whatever bytes a file name may hold; NumPy's text arrays would not.
  packed = np.frombuffer(json.dumps(header).encode("ascii"), np.uint8)
  with files.new_file(path, "--index") as file:
    np.savez(file, header=packed, features=index.features)


def load(path: pathlib.Path) -> Index | None:
  """Returns an index, or None for a file that is not one, is damaged, or has another format."""
  try:
    with regular_files.opened(path) as file:
      with zipfile.ZipFile(file) as parts:  # written uncompressed, so that it cannot unfold to more
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts.infolist()):
          return None
      file.seek(0)
      with np.load(file) as parts:
        header, features = json.loads(bytes(parts["header"])), parts["features"]
    found = Index(
      key=header["key"],
      names=header["names"],
      features=features,
      stamps={name: tuple(stamp) for name, stamp in header["stamps"].items()},
      skipped=header["skipped"],
    )
    return found if header["format"] == FORMAT and _is_sound(found) else None
  except Exception:  # NumPy, zipfile and what is missing raise many kinds; it is made anew
    return None


def _is_sound(index: Index) -> bool:
  """Says whether every part has its type, and every file is either a picture or skipped."""
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
  """Returns the index to start from and why it is an empty one, if it is."""
  empty = Index(key, [], np.empty((0, 0), np.float32), {}, {})
  if not os.path.lexists(path):
    return empty, "no index yet"
  if not regular_files.is_regular(path):
    raise UserError(
      f"{printable(str(path))} is not a regular file; name another place with --index"
    )
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
  """Returns (bytes, nanoseconds of the last change); (-1, -1) for a link to nothing."""
  try:
    facts = path.stat()
  except OSError:
    return -1, -1
  return facts.st_size, facts.st_mtime_ns
