"""Embedded pictures: the gallery, of one or several folders, and the queries."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.retrieval import feature_file, index, index_place, pictures
from vireid_jax.retrieval.model import Embedded, Model


@dataclasses.dataclass(frozen=True)
class Collection:
  """Pictures and their features.

  Attributes:
    names: Paths relative to the root, with forward slashes.
    root: The folder; the current one if there are several, whose paths then lead the names.
    features: float32 [n, d]; mapped from disk if the gallery is one file of features.
    skipped: Reason by name of each file that is not a picture, or is damaged.
    notes: What was done, such as what was embedded and where the index is; a line each.
    stamps: JSON values that change with the checkpoint and the files.
  """

  names: list[str]
  root: pathlib.Path
  features: np.ndarray
  skipped: dict[str, str]
  notes: list[str]
  stamps: list = dataclasses.field(default_factory=list)

  @property
  def paths(self) -> list[pathlib.Path]:
    """Path of each picture."""
    return [self.root / name for name in self.names]


def check(places: Sequence[str]) -> list[str]:
  """Returns the folders and files of a gallery, each once, in order.

  Raises:
    UserError: One does not exist.
  """
  for place in places:
    pictures.find(place)
  first: dict[pathlib.Path, str] = {}
  for place in places:
    first.setdefault(regular_files.expanded(place).resolve(), place)
  return list(first.values())


def open_gallery(
  model: Model, places: Sequence[str], modality: str, *, index_at: str | None
) -> Collection:
  """Updates the index of each folder, opens files of features, and joins them.

  Args:
    model: Model that embeds new pictures.
    places: Folders and files of features, without repetition.
    modality: Modality of all pictures, 'visible' or 'infrared'.
    index_at: Folder or file of indexes; None for the cache folder.

  Raises:
    UserError: A folder has no readable picture, or an index cannot be written.
  """
  parts = [_open_part(model, place, modality, index_at=index_at) for place in places]
  if len(parts) == 1:
    part = parts[0]
    notes = [f"gallery: {part.notes[0]}", *part.notes[1:]]
    return dataclasses.replace(part, notes=notes)
  names, skipped, notes = [], {}, []
  for place, part in zip(places, parts, strict=True):
    lead = part.root.as_posix()
    lead = lead if lead.endswith("/") else f"{lead}/"
    names += [f"{lead}{name}" for name in part.names]
    skipped |= {f"{lead}{name}": reason for name, reason in part.skipped.items()}
    notes += [f"gallery {printable(str(place))}: {part.notes[0]}", *part.notes[1:]]
  features = np.concatenate([part.features for part in parts])
  stamps = [part.stamps for part in parts]
  return _once(Collection(names, pathlib.Path(), features, skipped, notes, stamps))


def _open_part(model: Model, place: str, modality: str, *, index_at: str | None) -> Collection:
  """Opens a file of features, or updates the index of a folder."""
  if feature_file.is_features(place):
    found, root = feature_file.open_features(place, model, modality)
    facts = regular_files.expanded(place).stat()
    stamps = [index.key_of(model, modality), facts.st_size, facts.st_mtime_ns]
    notes = [f"{len(found.names)} pictures of {printable(str(place))}"]
    return Collection(found.names, root, found.features, found.skipped, notes, stamps)
  key = index.key_of(model, modality)
  path, note = index_place.find(index_at, place, key, modality)
  found, changes = index.update(model, place, modality, path, progress=True)
  _refuse_empty(place, found)
  notes = [f"{changes}; index {printable(str(path))}"]
  notes += [f"index: {note}"] if note else []
  stamps = [key, sorted(found.stamps.items())]
  root = pictures.folder_of(place)
  return Collection(found.names, root, found.features, found.skipped, notes, stamps)


def open_queries(model: Model, place: str, modality: str) -> Collection:
  """Embeds the queries, a folder or a single picture.

  Raises:
    UserError: There is no readable picture.
  """
  found = model.embed_folder(place, modality, progress=True)
  _refuse_empty(place, found)
  root = pictures.folder_of(place)
  turned = pictures.count_turned(root, found.names)
  notes = [f"queries turned by EXIF orientation: {turned}"] if turned else []
  return Collection(found.names, root, found.features, found.skipped, notes)


def _refuse_empty(place: str, found: index.Index | Embedded) -> None:
  if not found.names:
    reasons = pictures.describe_skipped(found.skipped)
    raise UserError(
      f"{place} has no readable picture; there is nothing to search" + (reasons and f"\n{reasons}")
    )


def _once(gallery: Collection) -> Collection:
  """Drops pictures that were found before, in a folder that contains another."""
  first: dict[pathlib.Path, int] = {}
  for row, path in enumerate(gallery.paths):
    first.setdefault(pictures.location(path), row)
  kept = sorted(first.values())
  return dataclasses.replace(
    gallery,
    names=[gallery.names[row] for row in kept],
    features=gallery.features[kept],
  )
