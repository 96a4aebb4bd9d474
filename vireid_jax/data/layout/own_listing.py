"""The user's description of each picture: a row of `images.csv`, or its place in the folders."""

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Iterator

from vireid_jax.common.errors import UserError, choose, nearest
from vireid_jax.common.records import INFRARED, MODALITIES
from vireid_jax.data import regular_files
from vireid_jax.data.layout import common
from vireid_jax.data.layout.lists import inside
from vireid_jax.data.layout.problems import quoted, shown
from vireid_jax.data.layout.root import nearest_folder

TABLE = "images.csv"
SPLITS = ("train", "val", "test")
REQUIRED = ("path", "identity", "modality")
COLUMNS = (*REQUIRED, "camera", "split", "mask")
SUFFIXES = (*common.IMAGE_SUFFIXES, ".tif", ".tiff", ".webp")
LONGEST_NAME = 200  # of an identity or a camera


@dataclasses.dataclass(frozen=True)
class Entry:
  """One picture as the user described it; '' for what was not given.

  Attributes:
    name: Path relative to the root, with forward slashes.
    identity: Number or name of the person.
    camera: Number or name of the camera.
    modality: `VISIBLE` or `INFRARED`.
    split: 'train', 'val' or 'test'.
    mask: Path of its pedestrian mask, relative to the root.
    where: Line or file that describes it, for errors.
  """

  name: str
  identity: str
  camera: str
  modality: int
  split: str
  mask: str
  where: str


@dataclasses.dataclass
class Listing:
  """The pictures found, and what is wrong with them.

  Attributes:
    entries: Pictures with a valid description.
    problems: What is wrong with the others, each with its place.
    doubtful: Identities of the others; contains None if one is unknown.
    warnings: What was left out.
  """

  entries: list[Entry] = dataclasses.field(default_factory=list)
  problems: list[str] = dataclasses.field(default_factory=list)
  doubtful: set[str | None] = dataclasses.field(default_factory=set)
  warnings: list[str] = dataclasses.field(default_factory=list)


def from_table(root: pathlib.Path) -> Listing:
  """Reads `images.csv`, separated by commas, semicolons or tabs, with columns in any order.

  Raises:
    UserError: The file is not such a table, or its columns are wrong. Problems of single lines are
      listed in the result instead.
  """
  path = root / TABLE
  lines = table_lines(path)
  columns = [name.strip().lower() for name in lines[0][1]] if lines else []
  _check_columns(path, columns)
  listing, first = Listing(), {}
  for number, values in lines[1:]:
    where = f"line {number}"
    if len(values) != len(columns):
      wrong = "it has more or fewer values than the first line has columns"
      listing.problems.append(f"{where}: {wrong}")
      listing.doubtful.add(None)
      continue
    row = {name: value.strip() for name, value in zip(columns, values, strict=True)}
    wrong = [f"{where}: {text}" for text in _row_problems(row)]
    name = inside(row["path"])
    if name and first.setdefault(name, where) != where:
      wrong.append(f"{where}: {shown(name)} is listed already ({first[name]})")
    if wrong:
      listing.problems += wrong
      listing.doubtful.add(row["identity"] or None)
    else:
      listing.entries.append(_entry(row, where))
  if not listing.entries and not listing.problems:
    raise UserError(
      f"{shown(str(path))} lists no picture; expected a line per picture below the header"
    )
  return listing


def table_lines(path: pathlib.Path) -> list[tuple[int, list[str]]]:
  """Returns the number and the values of each line of a CSV table that has any.

  Raises:
    UserError: The file cannot be read, is not text in UTF-8, or is not such a table.
  """
  text = regular_files.read_text(path)
  header = text.lstrip().partition("\n")[0]
  separator = max(",;\t", key=header.count)
  reader = csv.reader(
    io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
  )
  try:
    rows = [(reader.line_num, values) for values in reader]
  except csv.Error as error:
    raise UserError(
      f"{shown(str(path))}, line {reader.line_num}: {shown(str(error))}; is a quotation mark not "
      "closed, or is it not a CSV table?"
    ) from None
  return [(number, values) for number, values in rows if any(map(str.strip, values))]


def _check_columns(path: pathlib.Path, columns: list[str]) -> None:
  where = shown(str(path))
  for name in REQUIRED:
    if name not in columns:
      optional = ", ".join(name for name in COLUMNS if name not in REQUIRED)
      raise UserError(
        f"{where} has no column {name!r} in its first line (it has: "
        f"{common.enumeration(columns) or 'nothing'}); needed: {', '.join(REQUIRED)}, optional: "
        f"{optional}"
      )
  for name in columns:
    choose(name, COLUMNS, said=f"{where} has an unknown column {quoted(name)}")
    if columns.count(name) > 1:
      raise UserError(
        f"{where} has the column {name!r} {columns.count(name)} times in its first line; keep one"
      )


def _row_problems(row: dict[str, str]) -> list[str]:
  problems = [
    f"its {name} is empty; fill it in, or leave the column out" for name in row if not row[name]
  ]
  modality, split = row["modality"].lower(), row.get("split", "").lower()
  if modality and modality not in MODALITIES:
    options = nearest(modality, MODALITIES)
    problems.append(f"unknown modality {quoted(row['modality'])}; {options}")
  if split and split not in SPLITS:
    problems.append(f"unknown split {quoted(row['split'])}; {nearest(split, SPLITS)}")
  for name in ("path", "mask"):
    if row.get(name) and inside(row[name]) is None:
      problems.append(
        f"the {name} {quoted(row[name])} leaves the folder or is empty; paths are relative to the "
        f"folder of {TABLE}"
      )
  for name in ("identity", "camera"):
    if len(row.get(name, "")) > LONGEST_NAME:
      problems.append(
        f"its {name} has {len(row[name])} letters; at most {LONGEST_NAME} are allowed"
      )
  return problems


def _entry(row: dict[str, str], where: str) -> Entry:
  return Entry(
    name=inside(row["path"]),
    identity=row["identity"],
    camera=row.get("camera", ""),
    modality=MODALITIES.index(row["modality"].lower()),
    split=row.get("split", "").lower(),
    mask=inside(row["mask"]) if "mask" in row else "",
    where=where,
  )


def from_folders(root: pathlib.Path) -> Listing:
  """Lists [split/]modality/identity[/camera]/picture.

  Raises:
    UserError: A modality's folder is missing, or no picture is found.
  """
  splits = [split for split in SPLITS if (root / split).is_dir()]
  places = [(split, root / split) for split in splits] or [("", root)]
  listing = Listing()
  for split, place in places:
    for modality, word in enumerate(MODALITIES):
      if not (place / word).is_dir():
        raise UserError(_missing_folder(root, place, word))
      listing.entries += _of_modality(root, place / word, modality, split)
  if not listing.entries:
    raise UserError(
      f"{shown(str(root))} has no picture ({', '.join(SUFFIXES)}) in the folders of identities"
    )
  listing.warnings += _left_out(root, [place for _, place in places], listing.entries)
  return listing


def _missing_folder(root: pathlib.Path, place: pathlib.Path, word: str) -> str:
  text = f"{shown(str(place))} has no folder {word}/, and {shown(str(root))} has no table {TABLE}. "
  better = nearest_folder(root, _is_own)
  if better:
    return text + f"{shown(str(better))} has one of them: pass that folder instead"
  return text + (
    f"Sort the pictures as {MODALITIES[0]}/IDENTITY/picture.jpg and "
    f"{MODALITIES[INFRARED]}/IDENTITY/picture.jpg, or list them in {TABLE} (docs/own_data.md)"
  )


def _is_own(place: pathlib.Path) -> bool:
  if regular_files.is_regular(place / TABLE):
    return True
  places = [place / split for split in SPLITS if (place / split).is_dir()] or [place]
  return all((place / word).is_dir() for place in places for word in MODALITIES)


def _of_modality(
  root: pathlib.Path, place: pathlib.Path, modality: int, split: str
) -> Iterator[Entry]:
  for identity in _folders(place):
    for camera, folder in [("", identity), *((path.name, path) for path in _folders(identity))]:
      for path in sorted(folder.iterdir()):
        if _is_picture(path) and regular_files.is_regular(path):
          name = path.relative_to(root).as_posix()
          yield Entry(name, identity.name, camera, modality, split, "", shown(name))


def _left_out(root: pathlib.Path, places: list[pathlib.Path], entries: list[Entry]) -> list[str]:
  """Names files that look like pictures but are not regular files, or are at another depth."""
  listed = {entry.name for entry in entries}
  other = []
  for place in [place / word for place in places for word in MODALITIES]:
    for folder, _, files in os.walk(place):
      paths = [pathlib.Path(folder, name) for name in files]
      names = [path.relative_to(root).as_posix() for path in paths if _is_picture(path)]
      other += [name for name in names if name not in listed]
  if not other:
    return []
  return [
    f"{len(other)} files are not regular files or not in the folder of an identity or camera, and "
    f"are left out: {common.enumeration(sorted(other))}"
  ]


def _is_picture(path: pathlib.Path) -> bool:
  return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _folders(place: pathlib.Path) -> Iterator[pathlib.Path]:
  return (
    path for path in sorted(place.iterdir()) if path.is_dir() and not path.name.startswith(".")
  )
