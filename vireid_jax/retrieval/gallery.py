"""Embedded pictures: the gallery, of one or several folders, and the queries."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.retrieval import index, index_place, pictures
from vireid_jax.retrieval.model import Embedded, Model


@dataclasses.dataclass(frozen=True)
class Collection:
  """Pictures and their features.

  Attributes:
    names: Paths relative to the root, with forward slashes.
    root: The folder; the current one if there are several, whose paths then lead the names.
    features: float32 [n, d].
    skipped: Reason by name of each file that is not a picture, or is damaged.
    notes: What was done, such as what was embedded and where the index is; a line each.
  """

  names: list[str]
  root: pathlib.Path
  features: np.ndarray
  skipped: dict[str, str]
  notes: list[str]

  @property
  def paths(self) -> list[pathlib.Path]:
    """Path of each picture."""
    return [self.root / name for name in self.names]


def check(places: Sequence[str]) -> list[str]:
  """Returns the folders of a gallery, each once, in order.

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
  """Updates the index of each folder, and joins them.

  Args:
    model: Model that embeds new pictures.
    places: Folders, without repetition.
    modality: Modality of all pictures, 'visible' or 'infrared'.
    index_at: Folder or file of indexes; None for the cache folder.

  Raises:
    UserError: A folder has no readable picture, or an index cannot be written.
  """
  several, names, features, skipped, notes = len(places) > 1, [], [], {}, []
  for place in places:
    path, note = index_place.find(index_at, place, index.key_of(model, modality), modality)
    found, changes = index.update(model, place, modality, path, progress=True)
    _refuse_empty(place, found)
    lead = _lead(place) if several else ""
    names += [f"{lead}{name}" for name in found.names]
    features.append(found.features)
    skipped |= {f"{lead}{name}": reason for name, reason in found.skipped.items()}
    which = f" {printable(str(place))}" if several else ""
    notes.append(f"gallery{which}: {changes}; index {printable(str(path))}")
    notes += [f"index: {note}"] if note else []
  root = pathlib.Path() if several else pictures.folder_of(places[0])
  joined = Collection(names, root, np.concatenate(features), skipped, notes)
  return _once(joined) if several else joined


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


def _lead(place: str) -> str:
  """Returns what precedes the names of a folder's pictures: 'site/gate/'."""
  folder = pictures.folder_of(place).as_posix()
  return folder if folder.endswith("/") else f"{folder}/"


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
