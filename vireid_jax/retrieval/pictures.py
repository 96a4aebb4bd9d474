"""Finds and decodes pictures in folders that may contain other files."""

import concurrent.futures
import contextlib
import functools
import io
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image as PillowImage

from vireid_jax.common.errors import UserError, printable
from vireid_jax.data import regular_files
from vireid_jax.data.prepared import picture
from vireid_jax.data.prepared.source import decode

# Files that operating systems add to folders; hidden files are ignored anyway.
LEFTOVERS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx")
INDEX = ".index.npz"  # end of the name of a gallery's index, which may lie among the pictures
INDEXES = (INDEX, ".index.faiss")
NOT_REGULAR = "not a regular file"


def find(place: str | pathlib.Path) -> tuple[list[str], dict[str, str]]:
  """Lists the files in a folder, recursively, pictures or not.

  Hidden files and folders (with a leading dot), files of operating systems (Thumbs.db) and indexes
  of galleries (`*.index.npz`, `*.index.faiss`) are ignored. Links to files are followed, links to
  folders are not.

  Args:
    place: Folder, or a single file.

  Returns:
    Sorted paths relative to the folder (for a single file, its name), with forward slashes; and the
    reason by name of each folder that cannot be listed and each entry that is not a regular file (a
    pipe, a broken link).

  Raises:
    UserError: The path is neither a folder nor a regular file.
  """
  place = regular_files.expanded(place)
  if regular_files.is_regular(place):
    return [place.name], {}
  if not os.path.isdir(place):  # noqa: PTH112 (pathlib raises for some texts that are no path)
    raise UserError(
      f"{printable(str(place))} is not a folder or a regular file; give a folder of pictures"
    )
  names, refused = [], {}

  def note(error: OSError) -> None:
    refused[relative(error.filename, place)] = error.strerror or str(error)

  for folder, inner, files in os.walk(place, onerror=note):
    inner[:] = sorted(name for name in inner if not is_hidden(name))
    found = [relative(pathlib.Path(folder, f), place) for f in files if not is_hidden(f)]
    odd = [name for name in found if not regular_files.is_regular(place / name)]
    refused |= dict.fromkeys(sorted(odd), NOT_REGULAR)
    names += [name for name in found if name not in refused]
  return sorted(names), refused


def is_hidden(name: str) -> bool:
  """Returns whether a file or folder is ignored silently."""
  return name.startswith(".") or name.casefold() in LEFTOVERS or name.endswith(INDEXES)


def relative(path, root: pathlib.Path) -> str:
  """Returns a path relative to `root`, with forward slashes."""
  return pathlib.Path(path).relative_to(root).as_posix()


def folder_of(place: str | pathlib.Path) -> pathlib.Path:
  """Returns the folder to which the names from `find` are relative."""
  place = regular_files.expanded(place)
  return place.parent if regular_files.is_regular(place) else place


def location(path: pathlib.Path) -> pathlib.Path:
  """Returns an absolute path that is equal for all ways to name the file's folder."""
  path = path.absolute()
  return _resolved(path.parent) / path.name


@functools.lru_cache(maxsize=4096)
def _resolved(folder: pathlib.Path) -> pathlib.Path:
  return folder.resolve()


def read(path: pathlib.Path, size: tuple[int, int], resize: str) -> np.ndarray:
  """Decodes and resizes a picture as training does.

  Args:
    path: Path of a picture in one of `data.prepared.picture.FORMATS`, under any name. The picture
      is turned by its EXIF orientation.
    size: (height, width).
    resize: Filter for resizing, as in `data.prepared.source.decode`.

  Returns:
    uint8 [height, width, 3].

  Raises:
    UserError: It is not a picture, damaged, or has more than eight bits; the text omits the name.
  """
  with picture.open_picture(path):  # reads only the header, so that videos are refused quickly
    pass
  try:
    data = regular_files.read_bytes(path)
  except OSError as error:
    raise picture.PictureError(f"cannot be read: {error.strerror or error}") from error
  return decode(data, size, resize, turn=True)


def count_turned(root: pathlib.Path, names: Sequence[str]) -> int:
  """Returns how many of the pictures `read` turns; reads only their headers."""
  count = 0
  for name in names:
    with contextlib.suppress(picture.PictureError), picture.open_picture(root / name) as opened:
      count += picture.orientation(opened) != 1
  return count


def from_array(pixels: np.ndarray, size: tuple[int, int], resize: str) -> np.ndarray:
  """Resizes a decoded picture, uint8 [h, w, 3] or grey [h, w], to uint8 [height, width, 3].

  Raises:
    UserError: The dtype or shape is wrong.
  """
  pixels = np.asarray(pixels)
  if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
    raise UserError(
      f"a picture has shape {pixels.shape} and dtype {pixels.dtype}; expected uint8 [height, width,"
      " 3] or grey [height, width], values 0 to 255"
    )
  if pixels.ndim == 3 and pixels.shape[:2] == tuple(size):
    return pixels
  stored = io.BytesIO()
  PillowImage.fromarray(pixels).save(stored, "BMP")  # lossless; `decode` resizes
  return decode(stored.getvalue(), size, resize)


def read_batches(
  paths: Sequence[pathlib.Path], size: tuple[int, int], resize: str, batch: int
) -> Iterator[tuple[list[int], list[np.ndarray], dict[int, str]]]:
  """Decodes files in threads, one batch ahead.

  Args:
    paths: Paths of the files.
    size, resize: As in `read`.
    batch: Number of files per step.

  Yields:
    (positions in `paths` that were read, their pixels, reason by position of the others).
  """
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:

    def submit(start: int) -> list[concurrent.futures.Future]:
      return [pool.submit(read, path, size, resize) for path in paths[start : start + batch]]

    ahead = submit(0)
    for start in range(0, len(paths), batch):
      waiting, ahead = ahead, submit(start + batch)
      rows, pixels, reasons = [], [], {}
      for row, future in enumerate(waiting, start):
        try:
          pixels.append(future.result())
          rows.append(row)
        except UserError as error:
          reasons[row] = str(error)
      yield rows, pixels, reasons


def describe_skipped(skipped: dict[str, str], most: int = 20) -> str:
  """Returns a text with the number of skipped files, their names and reasons; '' if none."""
  if not skipped:
    return ""
  lines = [f"  {printable(name)} ({reason})" for name, reason in list(skipped.items())[:most]]
  lines += [f"  and {len(skipped) - most} more"] if len(skipped) > most else []
  files = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
  return "\n".join([f"skipped {files}:", *lines])
