"""RegDB as its owner distributes it: Visible/, Thermal/ and ten random trials in idx/.

412 identities with 10 visible and 10 thermal images each; every trial has 206 identities for
training and 206 for testing. Images are stored once, and a trial is two lists of identities.

Reference: Nguyen et al., Person Recognition System Based on a Combination of Body Images from
Visible Light and Thermal Cameras, Sensors 2017.
"""

import pathlib
from collections.abc import Iterable

from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.layout import common
from vireid_jax.data.layout.common import Group, Image, Layout

TRIALS = range(1, 11)
HALVES = ("train", "test")
FOLDERS = {VISIBLE: "Visible", INFRARED: "Thermal"}
LIST_WORDS = {VISIBLE: "visible", INFRARED: "thermal"}
SPLIT = "full"  # "all" means something else to TFDS
IDENTITIES_PER_HALF = 206
GROUPS = (
  Group("all, visible", 4_120, 412, modality=VISIBLE),
  Group("all, infrared", 4_120, 412, modality=INFRARED),
)

_Lists = dict[tuple[str, int, int], list[tuple[str, int]]]


def read(root) -> Layout:
  """Lists the images of a RegDB tree and checks its layout.

  Args:
    root: Folder with `Visible`, `Thermal` and `idx`.

  Returns:
    The layout, with one split `full`, sorted by modality, identity and file name. The ten published
    trials are the metadata's subsets train_1, test_1, ..., train_10, test_10.

  Raises:
    UserError: A folder or list is missing or malformed, a listed image is missing, or a trial has
      identities in both train and test.
  """
  root = common.existing_root(root, [*FOLDERS.values(), "idx"])
  lists = _read_lists(root)
  listed = {name for rows in lists.values() for name, _ in rows}
  common.refuse_missing(root, listed, "idx/")
  common.refuse_equal_numbers(sorted({name.rpartition("/")[0] for name in listed}))
  images = _images(root, lists)
  subsets = _subsets(lists)
  _refuse_overlap(subsets)
  synthetic = common.is_synthetic(root)
  metadata = {
    "synthetic": synthetic,
    "subsets": {name: {"split": SPLIT, "identities": ids} for name, ids in subsets.items()},
    "skipped": [],
  }
  warnings = _unlisted_warnings(root, listed) + _coverage_warnings(lists, images)
  warnings += _modality_warnings(images, subsets) + _label_warnings(lists)
  if not synthetic:
    warnings += common.count_warnings(images, GROUPS) + _size_warnings(subsets)
  return Layout(root, images, metadata, tuple(warnings), GROUPS)


def _read_lists(root: pathlib.Path) -> _Lists:
  lists = {}
  for trial in TRIALS:
    for half in HALVES:
      for modality, word in LIST_WORDS.items():
        path = common.require_file(root, f"idx/{half}_{word}_{trial}.txt")
        lists[half, modality, trial] = common.read_listing(path)
        _check_names(path, [name for name, _ in lists[half, modality, trial]], modality)
  return lists


def _check_names(path: pathlib.Path, names: Iterable[str], modality: int) -> None:
  folder = FOLDERS[modality]
  wrong = [
    common.shown(name)
    for name in names
    if not ((parts := name.split("/"))[0] == folder and len(parts) == 3 and common.number(parts[1]))
  ]
  common.refuse(
    wrong,
    f"{common.shown(str(path))} lists images with paths of another form",
    f"expected {folder}/IDENTITY/FILE with a number for the identity",
  )


def _identity(name: str) -> int:
  return int(name.split("/")[1])


def _images(root: pathlib.Path, lists: _Lists) -> tuple[Image, ...]:
  names = {(m, _identity(name), name) for (_, m, _), rows in lists.items() for name, _ in rows}
  # Each modality has one camera: visible 1, infrared 2.
  return tuple(
    Image(root / name, identity, modality + 1, modality, name, SPLIT)
    for modality, identity, name in sorted(names)
  )


def _subsets(lists: _Lists) -> dict[str, list[int]]:
  return {
    f"{half}_{trial}": sorted(
      {_identity(name) for modality in FOLDERS for name, _ in lists[half, modality, trial]}
    )
    for trial in TRIALS
    for half in HALVES
  }


def _refuse_overlap(subsets: dict[str, list[int]]) -> None:
  for trial in TRIALS:
    names = [f"{half}_{trial}" for half in HALVES]
    common.refuse_shared_identities({name: subsets[name] for name in names})


def _unlisted_warnings(root: pathlib.Path, listed: set[str]) -> list[str]:
  unlisted, empty, odd = [], [], []
  for folder in FOLDERS.values():
    for place in sorted(path for path in (root / folder).iterdir() if path.is_dir()):
      names = [f"{folder}/{place.name}/{name}" for name in common.image_files(place, odd)]
      empty += [] if names else [f"{folder}/{place.name}"]
      unlisted += [name for name in names if name not in listed]
  warnings = [f"empty folders: {common.enumeration(empty)}"] if empty else []
  warnings += common.odd_warnings(odd)
  if unlisted:
    warnings.append(
      f"{len(unlisted)} images are not listed in idx/ and are left out: "
      + common.enumeration(unlisted)
    )
  return warnings


def _coverage_warnings(lists: _Lists, images: Iterable[Image]) -> list[str]:
  names: dict[tuple[int, int], set[str]] = {}
  for image in images:
    names.setdefault((image.modality, image.identity), set()).add(image.file_name)
  sentences = []
  for (half, modality, trial), rows in lists.items():
    listed = {name for name, _ in rows}
    known = set().union(*(names[modality, identity] for identity in map(_identity, listed)))
    if known - listed:
      sentences.append(
        f"idx/{half}_{LIST_WORDS[modality]}_{trial}.txt leaves out images of its identities, which "
        f"are used nevertheless: {common.enumeration(sorted(known - listed))}"
      )
  return sentences


def _modality_warnings(images: Iterable[Image], subsets: dict[str, list[int]]) -> list[str]:
  everyone = {
    "all trials": {identity for identities in subsets.values() for identity in identities}
  }
  return common.one_modality_warnings(
    images, everyone, "training on a trial with them will refuse to start"
  )


def _label_warnings(lists: _Lists) -> list[str]:
  """Checks the labels: they are not used (the folder is the identity), but reveal broken lists."""
  sentences = []
  for trial in TRIALS:
    for half in HALVES:
      rows = [row for modality in FOLDERS for row in lists[half, modality, trial]]
      pairs = {(_identity(name), label) for name, label in rows}
      identities, labels = ({pair[i] for pair in pairs} for i in (0, 1))
      if not len(pairs) == len(identities) == len(labels):
        sentences.append(
          f"{half} lists of trial {trial}: {len(identities)} identity folders but {len(labels)} "
          "labels; the folders decide"
        )
  return sentences


def _size_warnings(subsets: dict[str, list[int]]) -> list[str]:
  return [
    f"{name}: expected {IDENTITIES_PER_HALF} identities, found {len(identities)}"
    for name, identities in subsets.items()
    if len(identities) != IDENTITIES_PER_HALF
  ]
