"""What a person says of each picture: the rows of `images.csv`, or its place in the folders."""

import csv
import dataclasses
import pathlib
from collections.abc import Iterator

from vireid_jax.data.layout import common
from vireid_jax.data.schema import INFRARED, MODALITIES
from vireid_jax.errors import UserError, nearest

TABLE = "images.csv"
SPLITS = ("train", "val", "test")
REQUIRED = ("path", "identity", "modality")
COLUMNS = (*REQUIRED, "camera", "split", "mask")
SUFFIXES = (*common.IMAGE_SUFFIXES, ".tif", ".tiff", ".webp")


@dataclasses.dataclass(frozen=True)
class Entry:
  """One picture; texts as they were given, '' where nothing was.

  Attributes:
    name: path relative to the root, with forward slashes.
    identity: a number or a name.
    camera: a number or a name.
    modality: `VISIBLE` or `INFRARED`.
    split: 'train', 'val' or 'test'.
    mask: path of its pedestrian mask, relative to the root.
    where: which line or folder says so, for errors.
  """

  name: str
  identity: str
  camera: str
  modality: int
  split: str
  mask: str
  where: str


def from_table(root: pathlib.Path) -> list[Entry]:
  """Reads `images.csv`: separated by commas, semicolons or tabs, in any order of columns.

  Raises:
    UserError: naming the line, for a missing column or value, an unknown modality or split, a path
      outside the folder, or one that is listed twice.
  """
  path = root / TABLE
  try:
    text = path.read_text(encoding="utf-8-sig")
  except UnicodeDecodeError as error:
    raise UserError(f"{path} is not UTF-8 ({error.reason}); save it as CSV in UTF-8") from None
  lines = text.splitlines()
  separator = max(",;\t", key=lines[0].count) if lines else ","
  reader = csv.DictReader(lines, delimiter=separator, skipinitialspace=True)
  _check_columns(path, [name.strip().lower() for name in reader.fieldnames or ()])
  reader.fieldnames = [name.strip().lower() for name in reader.fieldnames]
  entries = [_entry(row, f"{path}, line {reader.line_num}") for row in reader if any(row.values())]
  if not entries:
    raise UserError(f"{path} lists no picture; expected a line per picture below the header")
  _refuse_repeated(entries)
  return entries


def _check_columns(path: pathlib.Path, columns: list[str]) -> None:
  for name in REQUIRED:
    if name not in columns:
      raise UserError(
        f"{path} has no column {name!r} in its first line (it has: "
        f"{', '.join(columns) or 'nothing'}); needed: {', '.join(REQUIRED)}, and as you like: "
        f"{', '.join(set(COLUMNS) - set(REQUIRED))}"
      )
  for name in columns:
    if name not in COLUMNS:
      raise UserError(f"{path} has an unknown column {name!r}; {nearest(name, COLUMNS)}")


def _entry(row: dict[str, str], where: str) -> Entry:
  if None in row or None in row.values():
    raise UserError(f"{where}: it has more or fewer values than the first line has columns")
  row = {name: value.strip() for name, value in row.items()}
  for name in [name for name in (*REQUIRED, "camera", "split", "mask") if name in row]:
    if not row[name]:
      raise UserError(f"{where}: its {name} is empty; fill it in, or leave the column out")
  modality = row["modality"].lower()
  if modality not in MODALITIES:
    raise UserError(
      f"{where}: unknown modality {row['modality']!r}; {nearest(modality, MODALITIES)}"
    )
  if row.get("split", "train") not in SPLITS:
    raise UserError(f"{where}: unknown split {row['split']!r}; {nearest(row['split'], SPLITS)}")
  return Entry(
    name=_inside(row["path"], where),
    identity=row["identity"],
    camera=row.get("camera", ""),
    modality=MODALITIES.index(modality),
    split=row.get("split", ""),
    mask=_inside(row["mask"], where) if "mask" in row else "",
    where=where,
  )


def _inside(text: str, where: str) -> str:
  """Returns a path with forward slashes, once it stays inside the folder."""
  path = pathlib.PurePosixPath(text.replace("\\", "/"))
  if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
    raise UserError(
      f"{where}: the path {text!r} leaves the folder; paths are relative to the folder of {TABLE}"
    )
  return path.as_posix()


def _refuse_repeated(entries: list[Entry]) -> None:
  first = {}
  for entry in entries:
    if entry.name in first:
      raise UserError(f"{entry.where}: {entry.name} is listed already ({first[entry.name]})")
    first[entry.name] = entry.where


def from_folders(root: pathlib.Path) -> list[Entry]:
  """Lists [split/]modality/identity[/camera]/picture.

  Raises:
    UserError: none of the folders is there, or one of the two modalities is missing.
  """
  splits = [split for split in SPLITS if (root / split).is_dir()]
  places = [(split, root / split) for split in splits] or [("", root)]
  entries = []
  for split, place in places:
    for modality, word in enumerate(MODALITIES):
      if not (place / word).is_dir():
        raise UserError(
          f"{place} has no folder {word}/, and {root} no table {TABLE}. Sort the pictures as "
          f"{MODALITIES[0]}/IDENTITY/picture.jpg and {MODALITIES[INFRARED]}/IDENTITY/picture.jpg, "
          f"or list them in {TABLE} (docs/own_data.md)"
        )
      entries += _of_modality(root, place / word, modality, split)
  if not entries:
    raise UserError(f"{root} holds no picture ({', '.join(SUFFIXES)}) in the folders of identities")
  return entries


def _of_modality(root: pathlib.Path, place: pathlib.Path, modality: int, split: str):
  for identity in _folders(place):
    for camera, folder in [("", identity), *((path.name, path) for path in _folders(identity))]:
      for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
          name = path.relative_to(root).as_posix()
          yield Entry(name, identity.name, camera, modality, split, "", name)


def _folders(place: pathlib.Path) -> Iterator[pathlib.Path]:
  return (
    path for path in sorted(place.iterdir()) if path.is_dir() and not path.name.startswith(".")
  )
