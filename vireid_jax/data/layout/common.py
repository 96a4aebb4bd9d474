"""What the readers of the owners' layouts share: the listing, counts, and file look-ups."""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence

from vireid_jax.data.schema import INFRARED, MODALITIES, VISIBLE
from vireid_jax.errors import UserError

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
SYNTHETIC_MARKER = "SYNTHETIC.txt"
MASKS = "masks"


@dataclasses.dataclass(frozen=True)
class Image:
  """One image file that is not decoded yet.

  Attributes:
    path: where the file is on this machine.
    identity: the owner's identity number.
    camera: the owner's camera number, from 1.
    modality: `VISIBLE` or `INFRARED`.
    file_name: path relative to the data set's root, with forward slashes.
    split: the stored split the image belongs to.
    mask: where the file of its pedestrian mask is, if the data set has any.
  """

  path: pathlib.Path
  identity: int
  camera: int
  modality: int
  file_name: str
  split: str
  mask: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class Group:
  """Images whose number the owner publishes (None: not published); an empty filter is open."""

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
    root: the folder that was read.
    images: all images, in storage order.
    metadata: what the prepared data set keeps besides its images, JSON-compatible.
    warnings: sentences for a person; none of them prevents an evaluation.
    groups: the published counts that the images were compared with.
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
    """Whether every image comes with a mask."""
    return bool(self.images) and all(image.mask for image in self.images)

  def without(self, skipped: Iterable[str]) -> "Layout":
    """Returns the layout without the files named in `skipped`, which its metadata records."""
    skipped = set(skipped)
    images = tuple(image for image in self.images if image.file_name not in skipped)
    metadata = {**self.metadata, "skipped": sorted(skipped)}
    return dataclasses.replace(self, images=images, metadata=metadata)


def with_masks(layout: Layout) -> Layout:
  """Returns the layout with the masks of a parallel folder, unchanged where there is none.

  The mask of cam1/0001/0001.jpg is masks/cam1/0001/0001.png.

  Raises:
    UserError: the folder is there and some images have no mask in it.
  """
  if not (layout.root / MASKS).is_dir():
    return layout
  names = [
    pathlib.PurePosixPath(MASKS, image.file_name).with_suffix(".png") for image in layout.images
  ]
  missing = [str(name) for name in names if not (layout.root / name).is_file()]
  if missing:
    raise UserError(
      f"{layout.root / MASKS} has no mask for {len(missing)} of {len(names)} images: "
      f"{enumeration(missing, 5)}. Add them, or move the folder away to go without masks."
    )
  images = tuple(
    dataclasses.replace(image, mask=layout.root / name)
    for image, name in zip(layout.images, names, strict=True)
  )
  return dataclasses.replace(layout, images=images)


def is_synthetic(root: pathlib.Path) -> bool:
  """Says whether the tree at `root` was written by the package's own renderer."""
  return (root / SYNTHETIC_MARKER).is_file()


def existing_root(root, first_folders: Sequence[str]) -> pathlib.Path:
  """Returns `root` as a path, once it is a folder that holds `first_folders`.

  Raises:
    UserError: names the first missing folder, and the place one level down that has it.
  """
  root = pathlib.Path(root).expanduser()
  if not root.is_dir():
    raise UserError(f"{root} is not a folder. Pass the folder that holds {first_folders[0]}/.")
  for folder in first_folders:
    if not (root / folder).is_dir():
      raise UserError(f"{root} has no folder {folder}/. {_advice(root, folder)}")
  return root


def _advice(root: pathlib.Path, folder: str) -> str:
  nested = [path.parent for path in sorted(root.glob(f"*/{folder}")) if path.is_dir()]
  if nested:
    return f"{nested[0]} has one: pass that folder instead."
  found = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
  listing = ", ".join(found[:12]) + (", ..." if len(found) > 12 else "")
  return f"It holds: {listing or 'nothing'}. The expected layout is described in docs/datasets.md."


def require_file(root: pathlib.Path, name: str) -> pathlib.Path:
  """Returns `root / name`; raises `UserError` naming it when there is no such file."""
  if not (root / name).is_file():
    raise UserError(
      f"{root} has no file {name}. It comes with the data set; see docs/datasets.md for the layout."
    )
  return root / name


def image_files(folder: pathlib.Path) -> list[str]:
  """Returns the sorted names of a folder's image files; hidden files do not count."""
  return sorted(
    entry.name
    for entry in folder.iterdir()
    if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
  )


def read_identities(path: pathlib.Path) -> list[int]:
  """Reads the identity numbers of a file whose first line is a comma-separated list.

  Raises:
    UserError: the line is empty or an entry is no positive integer; names file and entry.
  """
  lines = path.read_text(encoding="utf-8-sig").splitlines()
  entries = [entry.strip() for entry in (lines[0] if lines else "").split(",") if entry.strip()]
  wrong = [entry for entry in entries if not entry.isdecimal() or int(entry) < 1]
  if wrong or not entries:
    problem = f"has the entry {wrong[0]!r}" if wrong else "lists no identity"
    raise UserError(f"{path} {problem}; its first line must be identity numbers like 1,2,7.")
  return sorted({int(entry) for entry in entries})


def read_listing(path: pathlib.Path) -> list[tuple[str, int]]:
  """Reads a file of `relative/path label` lines.

  Raises:
    UserError: a line has another form (names file, line number and line), or there is none.
  """
  rows = []
  for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
    if not line.strip():
      continue
    parts = line.rsplit(None, 1)
    if len(parts) != 2 or not parts[1].isdecimal():
      raise UserError(f"{path}, line {number}: {line!r} is not of the form 'relative/path label'.")
    rows.append((parts[0].strip().replace("\\", "/").removeprefix("./"), int(parts[1])))
  if not rows:
    raise UserError(f"{path} lists no image.")
  return rows


def refuse_missing(root: pathlib.Path, names: Iterable[str], listed_in: str) -> None:
  """Raises `UserError` naming every one of `names` that is no file, if there is any."""
  missing = sorted(name for name in set(names) if not (root / name).is_file())
  if missing:
    raise UserError(
      f"{len(missing)} of the images listed in {listed_in} are not in {root}:\n  "
      + "\n  ".join(missing)
      + "\nRestore these files from the owner's archive."
    )


def refuse_shared_identities(identities: dict[str, Iterable[int]]) -> None:
  """Raises `UserError` when two of the named identity lists have an identity in common."""
  names = list(identities)
  for i, first in enumerate(names):
    for second in names[i + 1 :]:
      shared = sorted(set(identities[first]) & set(identities[second]))
      if shared:
        raise UserError(
          f"{first} and {second} share the identities {enumeration(shared)}: a test on people "
          "seen in training means nothing. Restore the owner's split files."
        )


def refuse_empty_splits(images: Iterable[Image], splits: Sequence[str]) -> None:
  """Raises `UserError` when one of `splits` has no image."""
  filled = {image.split for image in images}
  for split in splits:
    if split not in filled:
      raise UserError(
        f"no image belongs to the split {split!r}: no identity listed for it has any."
      )


def count_warnings(images: Sequence[Image], groups: Iterable[Group]) -> list[str]:
  """Returns one sentence per published count that differs from what was found."""
  sentences = []
  for group in groups:
    found = group.count(images)
    for unit, expected, number in zip(
      ("images", "identities"), (group.images, group.identities), found, strict=True
    ):
      if expected is not None and expected != number:
        sentences.append(f"{group.title}: expected {expected:,} {unit}, found {number:,}")
  return sentences


def absent_warnings(images: Iterable[Image], listed: dict[str, Sequence[int]]) -> list[str]:
  """Returns a sentence per list (by its file name) with identities that have no image."""
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
  """Returns a sentence per subset with identities that only one modality has seen.

  Args:
    images: the images to look at.
    subsets: identities by the subset's name.
    consequence: what follows from it, the end of the sentence.
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


def enumeration(values: Sequence, most: int = 20) -> str:
  """Returns the first `most` values joined by commas, and how many more there are."""
  more = len(values) - most
  return ", ".join(map(str, values[:most])) + (f" and {more} more" if more > 0 else "")
