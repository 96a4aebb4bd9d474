"""LLCM as its owner distributes it: vis/, nir/, test_vis/, test_nir/ and idx/.

1,064 identities, 713 for training and 351 for testing; 9 cameras that each see both modalities (no
infrared images of camera 3 in the test set).

Reference: Zhang and Wang, Diverse Embedding Expansion Network and Low-Light Cross-Modality
Benchmark for Visible-Infrared Person Re-identification, CVPR 2023.
"""

import pathlib
import re
from collections.abc import Sequence

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.layout import common
from vireid_jax.data.layout.common import Group, Image, Layout

TRAIN_LISTS = {VISIBLE: "idx/train_vis.txt", INFRARED: "idx/train_nir.txt"}
TRAIN_FOLDERS = {VISIBLE: "vis", INFRARED: "nir"}
TEST_FOLDERS = {VISIBLE: "test_vis", INFRARED: "test_nir"}
TEST_CAMERAS = {VISIBLE: (1, 2, 3, 4, 5, 6, 7, 8, 9), INFRARED: (1, 2, 4, 5, 6, 7, 8, 9)}
GROUPS = (
  Group("train", identities=713, splits=("train",)),
  Group("test", identities=351, splits=("test",)),
  Group("train, visible", 16_946, splits=("train",), modality=VISIBLE),
  Group("train, infrared", 13_975, splits=("train",), modality=INFRARED),
  Group("test, visible", 8_680, splits=("test",), modality=VISIBLE),
  Group("test, infrared", 7_166, splits=("test",), modality=INFRARED),
)

# For example 0351_c06_s200656_f4830_nir.jpg: identity, camera, sequence, frame, modality.
_FILE_NAME = re.compile(r"(?P<identity>[0-9]{1,9})_c(?P<camera>0?[1-9])(?![0-9])")


def read(root) -> Layout:
  """Lists the images of an LLCM tree and checks its layout.

  Args:
    root: Folder with `vis`, `nir`, `test_vis`, `test_nir` and `idx`.

  Returns:
    The layout, with the splits train (sorted by file name) and test (sorted by modality, camera,
    identity and file name).

  Raises:
    UserError: A folder or list is missing or malformed, a listed image is missing, train and test
      share identities, or the test set is empty.
  """
  root = common.existing_root(root, [*TRAIN_FOLDERS.values(), *TEST_FOLDERS.values(), "idx"])
  train = _train_images(root)
  test_identities = common.read_identities(common.require_file(root, "idx/test_id.txt"))
  train_identities = sorted({image.identity for image in train})
  common.refuse_shared_identities({"train": train_identities, "test": test_identities})
  test, empty, odd = _test_images(root, test_identities)
  images = (*train, *test)
  common.refuse_empty_splits(images, ("train", "test"))
  synthetic = common.is_synthetic(root)
  warnings = [f"empty folders: {common.enumeration(empty)}"] if empty else []
  warnings += common.odd_warnings(odd) + _name_warnings(train)
  for modality, cameras in TEST_CAMERAS.items():
    warnings += common.other_camera_warnings(root, f"{TEST_FOLDERS[modality]}/", cameras)
  warnings += common.absent_warnings(test, {"idx/test_id.txt": test_identities})
  warnings += _modality_warnings(images, train_identities, test_identities)
  warnings += [] if synthetic else common.count_warnings(images, GROUPS)
  metadata = {"synthetic": synthetic, "subsets": {}, "skipped": []}
  return Layout(root, images, metadata, tuple(warnings), GROUPS)


def _train_images(root: pathlib.Path) -> list[Image]:
  images = []
  for modality, list_name in TRAIN_LISTS.items():
    rows = common.read_listing(common.require_file(root, list_name))
    names = sorted(name for name, _ in rows)
    common.refuse_missing(root, names, list_name)
    _refuse_other_folders(names, list_name, TRAIN_FOLDERS[modality])
    common.refuse_equal_numbers(sorted({name.rpartition("/")[0] for name in names}))
    for name in names:
      identity, camera = parse_name(name, list_name)
      images.append(Image(root / name, identity, camera, modality, name, "train"))
  return images


def _refuse_other_folders(names: Sequence[str], list_name: str, folder: str) -> None:
  others = {*TRAIN_FOLDERS.values(), *TEST_FOLDERS.values()} - {folder}
  common.refuse(
    [common.shown(name) for name in names if name.partition("/")[0] in others],
    f"{list_name} lists images outside of {folder}/",
    "Restore the owner's list",
  )


def parse_name(name: str, listed_in: str) -> tuple[int, int]:
  """Returns (identity, camera) of a training image from its path.

  The lists' labels are contiguous training numbers, so the published identity number is only in the
  path. Folder and file name both give it; the folder decides, as in the test set.

  Args:
    name: Relative path like `nir/0351/0351_c06_s200656_f4830_nir.jpg`.
    listed_in: Name of the list, for the error.

  Raises:
    UserError: The path has another form.
  """
  path = pathlib.PurePosixPath(name)
  match = _FILE_NAME.match(path.name)
  identity = match and (common.number(path.parent.name) or common.number(match["identity"]))
  if not identity:
    raise UserError(
      f"{listed_in} lists '{common.shown(name)}'; expected a file name like 0351_c06_..._nir.jpg, "
      "of an identity from 1 and a camera from 1 to 9"
    )
  return identity, int(match["camera"])


def _name_warnings(images: Sequence[Image]) -> list[str]:
  matches = ((image, _FILE_NAME.match(image.path.name)) for image in images)
  other = [image.file_name for image, match in matches if int(match["identity"]) != image.identity]
  if not other:
    return []
  return [
    f"{len(other)} training images are in the folder of another identity than in their name; "
    f"the folder decides: {common.enumeration(other, 5)}"
  ]


def _test_images(root: pathlib.Path, identities: Sequence[int]):
  images, empty, odd = [], [], []
  for modality, cameras in TEST_CAMERAS.items():
    for camera in cameras:
      place = f"{TEST_FOLDERS[modality]}/cam{camera}"
      if not (root / place).is_dir():
        raise UserError(
          f"{common.shown(str(root))} has no folder {place}/. See docs/datasets.md for the layout."
        )
      common.refuse_equal_numbers(f"{place}/{path.name}" for path in (root / place).iterdir())
      for identity in identities:
        folder = f"{place}/{identity:04d}"
        if not (root / folder).is_dir():
          continue  # this camera never saw that identity
        names = [f"{folder}/{name}" for name in common.image_files(root / folder, odd)]
        empty += [] if names else [folder]
        images += [Image(root / n, identity, camera, modality, n, "test") for n in names]
  return images, empty, odd


def _modality_warnings(
  images: Sequence[Image], train: Sequence[int], test: Sequence[int]
) -> list[str]:
  return common.one_modality_warnings(
    images, {"train": train}, "training needs both, so a run will refuse to start"
  ) + common.one_modality_warnings(
    images, {"test": test}, "they have no match in the other modality"
  )
