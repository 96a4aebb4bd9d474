"""One's own pictures, from a table or from folders; docs/own_data.md is the guide.

Nothing is published about them, so that whatever would make a training or its evaluation
meaningless is an error here and not a warning.
"""

import hashlib
import pathlib
from collections.abc import Iterable, Sequence

from vireid_jax.data.layout import common
from vireid_jax.data.layout.common import Image, Layout
from vireid_jax.data.layout.own_listing import SPLITS, TABLE, Entry, from_folders, from_table
from vireid_jax.data.schema import INFRARED, MODALITIES, VISIBLE
from vireid_jax.errors import UserError

MOST_NUMBER = 2**31 - 1


def read(root) -> Layout:
  """Lists the pictures that `images.csv` names, or that lie in folders where there is no table.

  Args:
    root: the folder that holds `images.csv`, or `visible/` and `infrared/`, or `train/` and `test/`
      with those inside.

  Returns:
    The layout; splits train, val (where given) and test. Where no split is given, one half of the
    identities is for training and the other for testing, chosen by a hash of their names.

  Raises:
    UserError: a listed file is missing, a line of the table is wrong, an identity is in two
      splits, or one of training has been seen in one modality only.
  """
  root = pathlib.Path(root).expanduser()
  if not root.is_dir():
    raise UserError(f"{root} is not a folder. Pass the folder that holds {TABLE}.")
  is_table = (root / TABLE).is_file()
  entries = from_table(root) if is_table else from_folders(root)
  _refuse_missing(root, entries)
  split_by = ("table" if is_table else "folders") if entries[0].split else "halves"
  split_of = _given_splits(entries) if entries[0].split else _halves(entries)
  identities, identity_names = _numbers([entry.identity for entry in entries])
  cameras, camera_names = _numbers(_cameras(entries))
  images = [
    _image(root, entry, identity, camera, split_of[entry.identity])
    for entry, identity, camera in zip(entries, identities, cameras, strict=True)
  ]
  images.sort(key=lambda image: SPLITS.index(image.split))
  common.refuse_empty_splits(images, ("train", "test"))
  _refuse_unpaired(entries, split_of)
  metadata = {
    "synthetic": common.is_synthetic(root),
    "subsets": {},
    "skipped": [],
    "split_by": split_by,
    "identity_names": identity_names,
    "camera_names": camera_names,
  }
  return Layout(root, tuple(images), metadata, tuple(_warnings(images)), ())


def _image(root: pathlib.Path, entry: Entry, identity: int, camera: int, split: str) -> Image:
  mask = root / entry.mask if entry.mask else None
  return Image(root / entry.name, identity, camera, entry.modality, entry.name, split, mask)


def _refuse_missing(root: pathlib.Path, entries: Sequence[Entry]) -> None:
  wanted = [(name, e.where) for e in entries for name in (e.name, e.mask) if name]
  missing = [f"{name} ({where})" for name, where in wanted if not (root / name).is_file()]
  if missing:
    lines = "\n  ".join(missing[:20])
    more = f"\n  and {len(missing) - 20} more" if len(missing) > 20 else ""
    raise UserError(
      f"{len(missing)} listed files are not in {root}:\n  {lines}{more}\n"
      f"Add them, or take their lines out of {TABLE}; paths are relative to its folder"
    )


def _given_splits(entries: Sequence[Entry]) -> dict[str, str]:
  """Returns the split of each identity; raises UserError for one that is in two."""
  found = {}
  for entry in entries:
    before = found.setdefault(entry.identity, entry.split)
    if before != entry.split:
      raise UserError(
        f"{entry.where}: identity {entry.identity!r} is in {entry.split!r} and in {before!r}; a "
        "test on people seen in training means nothing, so give each identity one split"
      )
  return found


def _halves(entries: Sequence[Entry]) -> dict[str, str]:
  """Puts one half of the identities into train, the other into test.

  Ordered by a hash, so that it does not follow the names, and an identity that is added later
  moves few others.
  """
  names = sorted({entry.identity for entry in entries}, key=_hash)
  half = (len(names) + 1) // 2
  return {name: "train" if place < half else "test" for place, name in enumerate(names)}


def _hash(name: str) -> str:
  return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _cameras(entries: Sequence[Entry]) -> list[str]:
  """Returns the cameras; where none is given, one per modality as in RegDB."""
  given = [entry.camera for entry in entries]
  if any(given) and not all(given):
    entry = next(entry for entry in entries if not entry.camera)
    raise UserError(f"{entry.where}: it names no camera, but others do; name all cameras or none")
  return given if any(given) else [str(entry.modality + 1) for entry in entries]


def _numbers(names: Sequence[str]) -> tuple[list[int], list[str]]:
  """Returns a number for each name, and the names in the order of their numbers, from 1.

  Names that are all whole numbers from 1 keep them, and the second result is empty.
  """
  if all(name.isdecimal() and 1 <= int(name) <= MOST_NUMBER for name in set(names)):
    return [int(name) for name in names], []
  known = sorted(set(names))
  number = {name: place for place, name in enumerate(known, 1)}
  return [number[name] for name in names], known


def _seen(entries: Iterable, modality: int) -> set:
  return {entry.identity for entry in entries if entry.modality == modality}


def _refuse_unpaired(entries: Sequence[Entry], split_of: dict[str, str]) -> None:
  training = [entry for entry in entries if split_of[entry.identity] == "train"]
  for modality, other in ((VISIBLE, INFRARED), (INFRARED, VISIBLE)):
    lonely = sorted(_seen(training, modality) - _seen(training, other))
    if lonely:
      raise UserError(
        f"{len(lonely)} identities for training have {MODALITIES[modality]} pictures only: "
        f"{common.enumeration(lonely)}. Training pairs both modalities of a person: add "
        f"{MODALITIES[other]} pictures, leave these identities out, or give them the split 'test'"
      )
  test = [entry for entry in entries if split_of[entry.identity] == "test"]
  if not _seen(test, VISIBLE) & _seen(test, INFRARED):
    raise UserError(
      "no identity for testing has been seen in both modalities, so that no query has a match; "
      "give at least one paired identity the split 'test'"
    )


def _warnings(images: Sequence[Image]) -> list[str]:
  test = [image for image in images if image.split == "test"]
  return common.one_modality_warnings(
    test, {"test": {image.identity for image in test}}, "as queries they have no match"
  )
