"""The user's own pictures, from a table or from folders; docs/own_data.md is the guide.

They have no published counts to compare with, so anything that would make training or evaluation
meaningless is an error, not a warning.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterable, Sequence

from vireid_jax.common.records import INFRARED, MODALITIES, VISIBLE
from vireid_jax.data.layout import common, own_names
from vireid_jax.data.layout.common import Image, Layout
from vireid_jax.data.layout.own_listing import (
  SPLITS,
  TABLE,
  Entry,
  Listing,
  from_folders,
  from_table,
)
from vireid_jax.data.layout.problems import quoted, shown
from vireid_jax.data.layout.root import existing_folder
from vireid_jax.data.regular_files import is_regular


def read(root) -> Layout:
  """Lists the pictures in `images.csv`, or in folders if there is no table.

  Args:
    root: Folder with `images.csv`, or with `visible/` and `infrared/`, or with `train/` and `test/`
      that contain those.

  Returns:
    The layout, with the splits train, val (if given) and test. Without given splits, one half of
    the identities is for training and the other for testing, chosen by a hash of their names.

  Raises:
    UserError: A listed file is missing, a line of the table is wrong, an identity is in two splits
      or has two spellings, or a training identity was seen in only one modality. The message lists
      up to 20 problems.
  """
  root = existing_folder(root, TABLE)
  is_table = os.path.lexists(root / TABLE)
  listing = from_table(root) if is_table else from_folders(root)
  entries = listing.entries
  given = bool(entries and entries[0].split)
  split_of = {entry.identity: entry.split for entry in entries} if given else _halves(entries)
  _refuse_problems(root / TABLE if is_table else root, root, listing, split_of)
  images, names = _images(root, entries, split_of)
  common.refuse_empty_splits(images, ("train", "test"))
  metadata = {
    "synthetic": common.is_synthetic(root),
    "subsets": {},
    "skipped": [],
    "split_by": ("table" if is_table else "folders") if given else "halves",
    **names,
  }
  return Layout(root, images, metadata, (*listing.warnings, *_warnings(images)), ())


def check_again(layout: Layout) -> None:
  """Raises UserError if the remaining images do not suffice for training and testing."""
  names = layout.metadata["identity_names"]
  images = [
    dataclasses.replace(image, identity=names.get(str(image.identity), str(image.identity)))
    for image in layout.images
  ]
  split_of = {image.identity: image.split for image in images}
  problems = _unpaired(images, split_of) or _no_match(images, split_of)
  common.refuse(problems, f"{shown(str(layout.root))} without its corrupt images")


def _refuse_problems(
  place: pathlib.Path, root: pathlib.Path, listing: Listing, split_of: dict[str, str]
) -> None:
  entries = listing.entries
  problems = [*listing.problems, *_missing(root, entries), *_two_splits(entries)]
  problems += _camera_problems(entries) + _one_file_of_two(root, entries)
  problems += own_names.clashes("identity", [(e.identity, e.where) for e in entries])
  problems += own_names.clashes("camera", [(e.camera, e.where) for e in entries if e.camera])
  given = bool(entries and entries[0].split)  # the halves change with missing identities
  if None not in listing.doubtful and (given or not listing.doubtful):
    sure = [entry for entry in entries if entry.identity not in listing.doubtful]
    problems += _unpaired(sure, split_of)
  if not problems:
    problems += _no_match(entries, split_of)
  common.refuse(problems, shown(str(place)))


def _images(
  root: pathlib.Path, entries: Sequence[Entry], split_of: dict[str, str]
) -> tuple[tuple[Image, ...], dict[str, dict[str, str]]]:
  """Returns the images sorted by split, and the names of numbered identities and cameras."""
  identities, identity_names = own_names.numbers([entry.identity for entry in entries])
  cameras, camera_names = own_names.numbers(
    [entry.camera or str(entry.modality + 1) for entry in entries]  # one per modality, as in RegDB
  )
  images = [
    Image(
      path=root / entry.name,
      identity=identity,
      camera=camera,
      modality=entry.modality,
      file_name=entry.name,
      split=split_of[entry.identity],
      mask=root / entry.mask if entry.mask else None,
      turn=True,
    )
    for entry, identity, camera in zip(entries, identities, cameras, strict=True)
  ]
  images.sort(key=lambda image: SPLITS.index(image.split))
  return tuple(images), {"identity_names": identity_names, "camera_names": camera_names}


def _missing(root: pathlib.Path, entries: Sequence[Entry]) -> list[str]:
  wanted = [(name, e.where) for e in entries for name in (e.name, e.mask) if name]
  return [
    f"{where}: {_why_missing(root, name)}" for name, where in wanted if not is_regular(root / name)
  ]


def _why_missing(root: pathlib.Path, name: str) -> str:
  if os.path.lexists(root / name):
    return f"{shown(name)} is not a regular file"
  try:
    (root / name).stat()
  except PermissionError:
    return f"{shown(name)} may not be read by this user"
  except (OSError, ValueError):
    pass
  with contextlib.suppress(OSError, ValueError):
    for path in sorted((root / name).parent.iterdir()):
      if own_names.alike(path.name) == own_names.alike(pathlib.PurePath(name).name):
        near = ascii(path.name)  # the two may look the same
        return f"there is no file {shown(name)}; did you mean {shown(near)} (in the same folder)?"
  return f"there is no file {shown(name)} (paths are relative to the folder of {TABLE})"


def _one_file_of_two(root: pathlib.Path, entries: Sequence[Entry]) -> list[str]:
  """Describes links by which one file is listed for two identities."""
  problems, first = [], {}
  for entry in entries:
    with contextlib.suppress(OSError, ValueError):
      stat = (root / entry.name).stat()
      other = first.setdefault((stat.st_dev, stat.st_ino or entry.name), entry)
      if other.identity != entry.identity:
        problems.append(
          f"{entry.where}: {shown(entry.name)} is the same file as {shown(other.name)} "
          f"({other.where}), which shows identity {quoted(other.identity)}"
        )
  return problems


def _two_splits(entries: Sequence[Entry]) -> list[str]:
  problems, found = {}, {}
  for entry in entries:
    before = found.setdefault(entry.identity, entry.split)
    if before != entry.split and entry.identity not in problems:
      problems[entry.identity] = (
        f"{entry.where}: identity {quoted(entry.identity)} is in {entry.split!r} and in {before!r};"
        " a test on people seen in training is meaningless, so give each identity one split"
      )
  return list(problems.values())


def _halves(entries: Sequence[Entry]) -> dict[str, str]:
  """Assigns one half of the identities to train, the other to test.

  They are ordered by a hash, so that the split does not follow the names, and adding an identity
  moves few others.
  """
  names = sorted({entry.identity for entry in entries}, key=_hash)
  half = (len(names) + 1) // 2
  return {name: "train" if place < half else "test" for place, name in enumerate(names)}


def _hash(name: str) -> str:
  return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _camera_problems(entries: Sequence[Entry]) -> list[str]:
  without = [entry for entry in entries if not entry.camera]
  if not without or len(without) == len(entries):
    return []
  return [
    f"{without[0].where}: it has no camera, but others do; name the camera of all pictures or none"
  ]


def _seen(entries: Iterable, modality: int) -> set:
  return {entry.identity for entry in entries if entry.modality == modality}


def _unpaired(entries: Sequence[Entry | Image], split_of: dict[str, str]) -> list[str]:
  training = [entry for entry in entries if split_of[entry.identity] == "train"]
  problems = []
  for modality, other in ((VISIBLE, INFRARED), (INFRARED, VISIBLE)):
    lonely = sorted(_seen(training, modality) - _seen(training, other))
    if lonely:
      problems.append(
        f"{len(lonely)} identities for training have only {MODALITIES[modality]} pictures: "
        f"{common.enumeration(lonely)}. Training pairs both modalities of a person: add "
        f"{MODALITIES[other]} pictures, leave these identities out, or give them the split 'test'"
      )
  return problems


def _no_match(entries: Sequence[Entry | Image], split_of: dict[str, str]) -> list[str]:
  test = [entry for entry in entries if split_of[entry.identity] == "test"]
  if not test or _seen(test, VISIBLE) & _seen(test, INFRARED):
    return []
  return [
    "no identity for testing has been seen in both modalities, so no query has a match; give at "
    "least one paired identity the split 'test'"
  ]


def _warnings(images: Sequence[Image]) -> list[str]:
  test = [image for image in images if image.split == "test"]
  return common.one_modality_warnings(
    test, {"test": {image.identity for image in test}}, "as queries they have no match"
  )
