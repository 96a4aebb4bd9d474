"""SYSU-MM01 as its owner distributes it: cam1..cam6, exp/ and the official gallery draws.

491 identities, 296 + 99 + 96 of them in train, val and test; 6 cameras (1, 2, 4, 5 visible; 3, 6
infrared).

Reference: Wu et al., RGB-Infrared Cross-Modality Person Re-Identification, ICCV 2017.
"""

import pathlib
import re
from collections.abc import Sequence

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data import gallery_table
from vireid_jax.data.layout import common, mat_file
from vireid_jax.data.layout.common import Group, Image, Layout
from vireid_jax.data.regular_files import is_regular, read_bytes

CAMERA_MODALITY = {1: VISIBLE, 2: VISIBLE, 3: INFRARED, 4: VISIBLE, 5: VISIBLE, 6: INFRARED}
SPLITS = ("train", "val", "test")
PERMUTATION_FOLDERS = ("exp", "evaluation/data_split")
PERMUTATION_FILE = "rand_perm_cam.mat"

_FOLDER = re.compile(r"cam[1-6]/([0-9]{4}|[1-9][0-9]{4,})")
_TEST_CAMERAS = ((1374, 56), (1565, 56), (1883, 93), (1918, 94), (1918, 95), (1920, 96))
GROUPS = (
  Group("train", identities=296, splits=("train",)),
  Group("val", identities=99, splits=("val",)),
  Group("test", identities=96, splits=("test",)),
  Group("train + val, visible", 22_258, 395, splits=("train", "val"), modality=VISIBLE),
  Group("train + val, infrared", 11_909, 395, splits=("train", "val"), modality=INFRARED),
  *(
    Group(f"test, camera {camera}", images, identities, splits=("test",), cameras=(camera,))
    for camera, (images, identities) in enumerate(_TEST_CAMERAS, 1)
  ),
)


def read(root) -> Layout:
  """Lists the images of a SYSU-MM01 tree and checks its layout.

  Args:
    root: Folder with `cam1` to `cam6` and `exp`.

  Returns:
    The layout, with the splits train, val and test, each sorted by file name.

  Raises:
    UserError: A folder or file is missing or malformed, splits share identities, or a split is
      empty.
  """
  root = common.existing_root(root, [f"cam{camera}" for camera in CAMERA_MODALITY] + ["exp"])
  identities = {split: _split_identities(root, split) for split in SPLITS}
  common.refuse_shared_identities(identities)
  common.refuse_equal_numbers(_identity_folders(root))
  images, empty, odd = _list_images(root, identities)
  common.refuse_empty_splits(images, SPLITS)
  synthetic = common.is_synthetic(root)
  metadata = {"synthetic": synthetic, "subsets": {}, "skipped": []}
  warnings = [f"empty folders: {common.enumeration(empty)}"] if empty else []
  warnings += common.odd_warnings(odd) + _folder_warnings(root)
  warnings += common.absent_warnings(
    images, {f"exp/{split}_id.txt": numbers for split, numbers in identities.items()}
  )
  warnings += _modality_warnings(images, identities)
  warnings += _add_permutations(metadata, root, images, identities["test"])
  warnings += [] if synthetic else common.count_warnings(images, GROUPS)
  return Layout(root, tuple(images), metadata, tuple(warnings), GROUPS)


def _split_identities(root: pathlib.Path, split: str) -> list[int]:
  return common.read_identities(common.require_file(root, f"exp/{split}_id.txt"))


def _identity_folders(root: pathlib.Path) -> list[str]:
  return [
    f"cam{camera}/{path.name}"
    for camera in CAMERA_MODALITY
    for path in sorted((root / f"cam{camera}").iterdir())
    if common.number(path.name) and path.is_dir()
  ]


def _folder_warnings(root: pathlib.Path) -> list[str]:
  other = [name for name in _identity_folders(root) if not _FOLDER.fullmatch(name)]
  sentences = [f"not named like cam1/0001, left out: {common.enumeration(other)}"] if other else []
  return sentences + common.other_camera_warnings(root, "", CAMERA_MODALITY)


def _list_images(
  root: pathlib.Path, identities: dict[str, list[int]]
) -> tuple[list[Image], list[str], list[str]]:
  images, empty, odd = [], [], []
  for split in SPLITS:
    for camera, modality in CAMERA_MODALITY.items():
      for identity in identities[split]:
        folder = f"cam{camera}/{identity:04d}"
        if not (root / folder).is_dir():
          continue  # this camera never saw that identity
        names = common.image_files(root / folder, odd)
        if not names:
          empty.append(folder)
        for name in names:
          file_name = f"{folder}/{name}"
          images.append(Image(root / file_name, identity, camera, modality, file_name, split))
  return images, empty, odd


def _modality_warnings(images: Sequence[Image], identities: dict[str, list[int]]) -> list[str]:
  training = {split: identities[split] for split in ("train", "val")}
  return common.one_modality_warnings(
    images, training, "training needs both, so a run with this split will refuse to start"
  ) + common.one_modality_warnings(
    images, {"test": identities["test"]}, "they have no match in the other modality"
  )


def _add_permutations(
  metadata: dict, root: pathlib.Path, images: Sequence[Image], test: Sequence[int]
) -> list[str]:
  paths = [root / folder / PERMUTATION_FILE for folder in PERMUTATION_FOLDERS]
  found = [path for path in paths if is_regular(path)]
  if not found:
    return [
      f"no {PERMUTATION_FILE} in {' or '.join(PERMUTATION_FOLDERS)}: there will be no results on "
      "the official gallery draws"
    ]
  permutations = read_permutations(found[0], test)
  common.refuse(
    gallery_table.problems(permutations, _image_numbers(images)),
    f"{common.shown(str(found[0]))} does not fit the images",
    "Restore the owner's file and images, or remove the file to do without the official draws",
  )
  metadata["gallery_permutations"] = permutations
  return _other_test_identities(found[0].with_name("test_id.mat"), test)


def _image_numbers(images: Sequence[Image]) -> dict[tuple[int, int], list[int]]:
  """Returns the numbers of the test images by (identity, camera).

  Raises:
    UserError: Some images are not named by a number.
  """
  numbers, unnamed = {}, []
  for image in images:
    if image.split == "test":
      found = common.number(image.path.stem)
      unnamed += [] if found else [image.file_name]
      numbers.setdefault((image.identity, image.camera), []).append(found)
  if unnamed:
    raise UserError(
      f"test images are not named by a number from 1, as {PERMUTATION_FILE} numbers them: "
      f"{common.enumeration(unnamed, 5)}. Restore their names, or remove that file to do without "
      "the official draws"
    )
  return numbers


def read_permutations(
  path: pathlib.Path, identities: Sequence[int]
) -> dict[str, dict[str, list[list[int]]]]:
  """Reads the official gallery draws.

  Args:
    path: MATLAB file whose `rand_perm_cam` is a cell per camera of a cell per identity of a
      [trials, n] matrix; each row permutes the identity's 1-based image numbers.
    identities: Identities to keep.

  Returns:
    {camera: {identity: rows of image numbers}} with strings as keys, as JSON requires, without
    pairs that have no image in the file. The rows are not checked here, but in `gallery_table`.

  Raises:
    UserError: The file has another form.
  """
  try:
    cameras = mat_file.read(read_bytes(path), "rand_perm_cam").ravel()
    tables = [cell.ravel() for cell in cameras]
    rows = {
      str(camera): {
        str(identity): _whole(table[identity - 1]).tolist()
        for identity in identities
        if identity <= len(table) and table[identity - 1].size
      }
      for camera, table in enumerate(tables, 1)
    }
  except Exception as error:  # the reader raises a dozen kinds on a damaged file
    raise UserError(
      f"{common.shown(str(path))} is not the official permutation file: "
      f"{common.shown(str(error))}. Restore it from the owner's repository, or remove it to do "
      "without the official draws."
    ) from error
  return rows


def _whole(table: np.ndarray) -> np.ndarray:
  """Returns whole numbers that MATLAB stored as floats as integers; anything else unchanged."""
  with np.errstate(invalid="ignore"):
    whole = table.astype(np.int64) if table.dtype.kind in "iuf" else table
  return whole if np.array_equal(whole, table) else table


def _other_test_identities(path: pathlib.Path, test: Sequence[int]) -> list[str]:
  if not is_regular(path):
    return []
  try:
    other = set(map(int, mat_file.read(read_bytes(path), "id").ravel())) ^ set(test)
  except Exception:  # as above; the file is only compared with the list
    return [f"{path.name} cannot be read and was not compared"]
  if not other:
    return []
  return [
    f"{path.name} and exp/test_id.txt differ in identities {common.enumeration(sorted(other))}"
  ]
