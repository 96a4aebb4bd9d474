"""What the layout readers share: the list of images, counts, and file look-ups."""

import dataclasses
import pathlib
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, MODALITIES, VISIBLE
from vireid_jax.data.layout.lists import number, read_identities, read_listing
from vireid_jax.data.layout.problems import enumeration, refuse, shown
from vireid_jax.data.layout.root import existing_root
from vireid_jax.data.regular_files import is_regular

__all__ = [  # re-exported for the layout readers
  "enumeration",
  "existing_root",
  "number",
  "read_identities",
  "read_listing",
  "refuse",
  "shown",
]

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
SYNTHETIC_MARKER = "SYNTHETIC.txt"


@dataclasses.dataclass(frozen=True)
class Image:
  """One image file, not decoded yet.

  Attributes:
    path: Path of the file on this machine.
    identity: Identity number as published.
    camera: Camera number as published, from 1.
    modality: `VISIBLE` or `INFRARED`.
    file_name: Path relative to the data set's root, with forward slashes.
    split: Stored split to which the image belongs.
    mask: Path of its pedestrian mask, if the data set has masks.
    turn: Whether to apply its EXIF orientation when it is stored.
  """

  path: pathlib.Path
  identity: int
  camera: int
  modality: int
  file_name: str
  split: str
  mask: pathlib.Path | None = None
  turn: bool = False


@dataclasses.dataclass(frozen=True)
class Group:
  """Images whose counts the owner publishes (None if not); an empty filter accepts all images."""

  title: str
  images: int | None = None
  identities: int | None = None
  splits: tuple[str, ...] = ()
  modality: int | None = None
  cameras: tuple[int, ...] = ()

  def count(self, images: Iterable[Image]) -> tuple[int, int]:
    """Returns (number of images, number of identities) of the group among `images`."""
    kept = [image.identity for image in images if self._holds(image)]
    return len(kept), len(set(kept))

  def _holds(self, image: Image) -> bool:
    return (
      (not self.splits or image.split in self.splits)
      and (self.modality is None or image.modality == self.modality)
      and (not self.cameras or image.camera in self.cameras)
    )


@dataclasses.dataclass(frozen=True)
class Layout:
  """A data set as found on disk.

  Attributes:
    root: Folder that was read.
    images: All images, in storage order.
    metadata: JSON-compatible metadata to store with the images.
    warnings: Sentences for the user; none prevents an evaluation.
    groups: Published counts with which the images were compared.
  """

  root: pathlib.Path
  images: tuple[Image, ...]
  metadata: dict
  warnings: tuple[str, ...]
  groups: tuple[Group, ...]

  @property
  def splits(self) -> tuple[str, ...]:
    """Names of the stored splits, in storage order."""
    return tuple(dict.fromkeys(image.split for image in self.images))

  @property
  def has_masks(self) -> bool:
    """Whether every image has a mask."""
    return bool(self.images) and all(image.mask for image in self.images)

  def without(self, skipped: Iterable[str]) -> "Layout":
    """Returns the layout without the files named in `skipped`, and records them in its metadata."""
    skipped = set(skipped)
    images = tuple(image for image in self.images if image.file_name not in skipped)
    metadata = {**self.metadata, "skipped": sorted(skipped)}
    return dataclasses.replace(self, images=images, metadata=metadata)


def is_synthetic(root: pathlib.Path) -> bool:
  """Returns whether the folder `root` was written by this package's renderer."""
  return (root / SYNTHETIC_MARKER).is_file()


def require_file(root: pathlib.Path, name: str) -> pathlib.Path:
  """Returns `root / name`; raises `UserError` if there is no such file."""
  if not is_regular(root / name):
    (root / name).exists()  # raises if this user may not look there
    raise UserError(
      f"{shown(str(root))} has no file {name}. It comes with the data set; see docs/datasets.md for"
      " the layout."
    )
  return root / name


def image_files(folder: pathlib.Path, odd: list[str] | None = None) -> list[str]:
  """Returns the sorted names of a folder's image files, without hidden ones.

  Args:
    folder: Folder to search; its subfolders are not searched.
    odd: List to which to add names that look like images but are not regular files (broken links,
      pipes, folders).
  """
  named = sorted(
    entry.name
    for entry in folder.iterdir()
    if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
  )
  files = [name for name in named if is_regular(folder / name)]
  if odd is not None:
    odd += [f"{folder.name}/{name}" for name in named if name not in files]
  return files


def odd_warnings(odd: Sequence[str]) -> list[str]:
  """Returns a sentence on the files that `image_files` left out, if any."""
  return [f"not regular files, left out: {enumeration(odd)}"] if odd else []


def other_camera_warnings(root: pathlib.Path, place: str, cameras: Collection[int]) -> list[str]:
  """Returns a sentence on camera folders that are not read, such as cam01 and cam7, if any."""
  known = {f"cam{camera}" for camera in cameras}
  other = sorted(
    f"{place}{path.name}"
    for path in (root / place).iterdir()
    if path.name.lower().startswith("cam") and path.name not in known and path.is_dir()
  )
  return [f"folders of unknown cameras, left out: {enumeration(other)}"] if other else []


def refuse_unusable_names(images: Iterable[Image]) -> None:
  """Raises UserError for file names that cannot be stored, or that other systems cannot tell apart.

  These are names that are not UTF-8, and names that differ only in case or in the composition of
  their letters.
  """
  problems, first = [], {}
  for name in (image.file_name for image in images):
    if not _is_text(name):
      problems.append(f"{shown(name)} is not UTF-8")
    same = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
    if same != name:
      problems.append(
        f"{shown(name)} and {shown(same)} differ only in case or in the form of accents"
      )
  refuse(problems, "the names of some images cannot be used", "Rename these files")


def _is_text(name: str) -> bool:
  try:
    return bool(name.encode("utf-8"))
  except UnicodeEncodeError:
    return False


def refuse_equal_numbers(folders: Iterable[str]) -> None:
  """Raises UserError if two identity folders have the same number, such as 1 and 0001.

  Args:
    folders: Paths of the folders, each ending in an identity.
  """
  problems, first = [], {}
  for folder in folders:
    place, _, name = folder.rpartition("/")
    value = number(name)
    same = first.setdefault((place, value), folder) if value else folder
    if same != folder:
      problems.append(f"{shown(same)} and {shown(folder)} are both identity {value}")
  refuse(problems, "one identity has two folders", "Merge or rename these folders")


def refuse_missing(root: pathlib.Path, names: Iterable[str], listed_in: str) -> None:
  """Raises `UserError` if any of `names` is not a regular file."""
  missing = sorted(name for name in set(names) if not is_regular(root / name))
  refuse(
    [f"there is no file {shown(name)}" for name in missing],
    f"{len(missing)} of the images listed in {listed_in} are not in {shown(str(root))}",
    "Restore these files from the owner's archive",
  )


def refuse_shared_identities(identities: dict[str, Iterable[int]]) -> None:
  """Raises `UserError` if two of the named identity lists share an identity."""
  names = list(identities)
  for i, first in enumerate(names):
    for second in names[i + 1 :]:
      shared = sorted(set(identities[first]) & set(identities[second]))
      if shared:
        raise UserError(
          f"{first} and {second} share the identities {enumeration(shared)}: a test on people "
          "seen in training is meaningless. Restore the owner's split files."
        )


def refuse_empty_splits(images: Iterable[Image], splits: Sequence[str]) -> None:
  """Raises `UserError` if one of `splits` has no image."""
  filled = {image.split for image in images}
  for split in splits:
    if split not in filled:
      raise UserError(
        f"the split {split!r} has no image: none of the identities listed for it has any."
      )


def count_warnings(images: Sequence[Image], groups: Iterable[Group]) -> list[str]:
  """Returns one sentence per published count that differs from the count found."""
  sentences = []
  for group in groups:
    published = (group.images, group.identities)
    for unit, expected, found in zip(
      ("images", "identities"), published, group.count(images), strict=True
    ):
      if expected is not None and expected != found:
        sentences.append(f"{group.title}: expected {expected:,} {unit}, found {found:,}")
  return sentences


def absent_warnings(images: Iterable[Image], listed: dict[str, Sequence[int]]) -> list[str]:
  """Returns one sentence per list, by file name, that has identities without any image."""
  seen = {image.identity for image in images}
  absent = {name: sorted(set(identities) - seen) for name, identities in listed.items()}
  return [
    f"{name} lists identities without any image: {enumeration(missing)}"
    for name, missing in absent.items()
    if missing
  ]


def one_modality_warnings(
  images: Iterable[Image], subsets: dict[str, Iterable[int]], consequence: str
) -> list[str]:
  """Returns one sentence per subset with identities that were seen in only one modality.

  Args:
    images: Images of the data set.
    subsets: Identities by name of subset.
    consequence: End of the sentence: what follows for the user.
  """
  seen: tuple[set[int], set[int]] = (set(), set())
  for image in images:
    seen[image.modality].add(image.identity)
  sentences = []
  for name, identities in subsets.items():
    for modality, other in ((VISIBLE, INFRARED), (INFRARED, VISIBLE)):
      lonely = sorted(set(identities) & seen[modality] - seen[other])
      if lonely:
        sentences.append(
          f"{name}: only {MODALITIES[modality]} images of identities {enumeration(lonely)}; "
          + consequence
        )
  return sentences
