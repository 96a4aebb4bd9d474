"""Shares of a folder's embedding for several processes or machines, joined bit for bit.

A share consists of whole batches of the list of all files, so that each picture is embedded at the
same place of the same batch as by one process. Finished pieces of a share are files, which a later
run of the same share keeps.
"""

import dataclasses
import hashlib
import itertools
import json
import pathlib
import zipfile
from collections.abc import Iterator, Sequence

import numpy as np

from vireid_jax.common import files, progress
from vireid_jax.common.errors import UserError, printable
from vireid_jax.retrieval import pictures
from vireid_jax.retrieval.model import Model

BATCHES = 16  # in a piece; a killed process loses at most these
FOLDER = ".shards"  # follows the name of the features' file


@dataclasses.dataclass(frozen=True)
class Shard:
  """A share of the work.

  Attributes:
    number: Number of the share, from 0.
    count: Number of shares.
  """

  number: int
  count: int

  def __str__(self) -> str:
    return f"{self.number}/{self.count}"


@dataclasses.dataclass(frozen=True)
class Work:
  """A folder to embed, divided into pieces.

  Attributes:
    names: Files of the folder, sorted.
    refused: Reason by name of entries that are not regular files.
    root: Folder of the names.
    batch: Files in a batch.
    folder: Folder of the pieces.
    key: Text that changes with the files and with any setting that affects features.
  """

  names: list[str]
  refused: dict[str, str]
  root: pathlib.Path
  batch: int
  folder: pathlib.Path
  key: str

  def share(self, shard: Shard) -> list[slice]:
    """Returns the files of each piece of a share."""
    batches = -(-len(self.names) // self.batch)
    first, last = (batches * n // shard.count for n in (shard.number, shard.number + 1))
    starts = range(first, last, BATCHES)
    edges = [self.batch * each for each in (*starts, last)]
    return [slice(a, min(b, len(self.names))) for a, b in itertools.pairwise(edges)]

  def piece(self, rows: slice) -> pathlib.Path:
    """Returns the file of a piece."""
    return self.folder / f"{rows.start:012d}-{rows.stop:012d}.npz"


@dataclasses.dataclass(frozen=True)
class Piece:
  """Features of consecutive files.

  Attributes:
    path: File of the piece.
    rows: Its files.
    kept: Positions of the pictures among all files.
    skipped: Reason by position of the others.
  """

  path: pathlib.Path
  rows: slice
  kept: list[int]
  skipped: dict[int, str]

  def features(self) -> np.ndarray:
    """Reads the features, float32 [m, d]."""
    with self.path.open("rb") as file, np.load(file) as arrays:
      return arrays["features"]


def parse(text: str) -> Shard:
  """Reads the option --shards, such as '0/4'.

  Raises:
    UserError: It is not a share.
  """
  number, slash, count = text.partition("/")
  if slash and number.isdecimal() and count.isdecimal() and int(number) < int(count):
    return Shard(int(number), int(count))
  raise UserError(
    f"--shards is {text!r}; expected i/n, the share i of n, counted from 0: '0/4' to '3/4' for four"
  )


def divide(model: Model, images: str, modality: str, out: pathlib.Path) -> Work:
  """Lists the files of a folder.

  Args:
    model: Model that embeds.
    images: Folder of pictures.
    modality: Modality of all pictures.
    out: File of the joined features.
  """
  names, refused = pictures.find(images)
  root = pictures.folder_of(images)
  batch = model.batch_size(len(names))
  sizes = [(root / name).stat().st_size for name in names]
  facts = [model.fingerprint(), modality, batch, names, sizes]
  key = hashlib.sha256(json.dumps(facts).encode("ascii")).hexdigest()
  return Work(names, refused, root, batch, out.with_name(f"{out.name}{FOLDER}"), key)


def embed(model: Model, modality: str, work: Work, shard: Shard) -> tuple[int, int]:
  """Embeds a share, and keeps what an earlier run of it finished.

  Returns:
    Number of files, and how many of them an earlier run had finished.
  """
  share, kept = work.share(shard), 0
  total = sum(rows.stop - rows.start for rows in share)
  with progress.show(f"share {shard}", total, "file") as activity:
    for rows in share:
      if _read(work, rows) is None:
        _embed_piece(model, modality, work, rows)
      else:
        kept += rows.stop - rows.start
      activity.advance(rows.stop - rows.start)
  return total, kept


def _embed_piece(model: Model, modality: str, work: Work, rows: slice) -> None:
  paths = [work.root / name for name in work.names[rows]]
  features, failed = model.embed_files(paths, modality, total=len(work.names))
  header = {"key": work.key, "skipped": {rows.start + row: why for row, why in failed.items()}}
  with files.new_file(work.piece(rows), "--out") as file:
    np.savez(file, header=np.array(json.dumps(header)), features=features)


def _read(work: Work, rows: slice) -> Piece | None:
  """Returns a finished piece; None if there is none, or one of other files or another model."""
  path = work.piece(rows)
  try:
    with path.open("rb") as file, np.load(file) as arrays:
      header = json.loads(str(arrays["header"]))
  except (OSError, ValueError, KeyError, zipfile.BadZipFile):
    return None
  if header["key"] != work.key:
    return None
  skipped = {int(row): why for row, why in header["skipped"].items()}
  return Piece(path, rows, [r for r in range(rows.start, rows.stop) if r not in skipped], skipped)


def finished(work: Work) -> list[Piece]:
  """Returns all pieces in order.

  Raises:
    UserError: Some are missing.
  """
  found, start = {}, 0
  for path in sorted(work.folder.glob("*-*.npz")):
    first, _, last = path.stem.partition("-")
    if first.isdecimal() and last.isdecimal():
      piece = _read(work, slice(int(first), int(last)))
      found |= {} if piece is None else {piece.rows.start: piece}
  pieces = []
  while start < len(work.names):
    if start not in found:
      raise UserError(
        f"{printable(str(work.folder))} lacks {printable(work.names[start])} and files after it, "
        "or was made from other files or another checkpoint; run the missing --shards first, from "
        "the same folder and with the same options"
      )
    pieces.append(found[start])
    start = found[start].rows.stop
  return pieces


def skipped(work: Work, pieces: Sequence[Piece]) -> dict[str, str]:
  """Returns the reason by name of each file that is not embedded, in the order of one process."""
  failed = {work.names[row]: why for piece in pieces for row, why in piece.skipped.items()}
  return work.refused | failed


def blocks(pieces: Sequence[Piece]) -> Iterator[np.ndarray]:
  """Yields the features of each piece."""
  for piece in pieces:
    yield piece.features()
