"""Reads zip files safely: their content must be proportional to their size."""

import contextlib
import pathlib
import zipfile
from collections.abc import Iterator

from vireid_jax.models.weights.damage import Damaged

# Weights hardly compress, and torch.save does not compress them. A file that unpacks to more than
# this is a zip bomb.
MOST_BYTES_ANYWAY = 2**24
MOST_TIMES_THE_FILE = 20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other methods unpack without a limit


@contextlib.contextmanager
def opened(path: pathlib.Path) -> "Iterator[Archive]":
  """Opens a zip file and checks its directory before anything is unpacked.

  Yields:
    The file's entries.

  Raises:
    Damaged: Entries share a name, are encrypted or compressed by another method, or are too
      large.
  """
  with zipfile.ZipFile(path) as archive:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
      raise Damaged("two entries have the same name")
    _check(entries, path.stat().st_size)
    yield Archive(archive, entries)


def _check(entries: dict[str, zipfile.ZipInfo], size: int) -> None:
  for entry in entries.values():
    stored = entry.compress_type == zipfile.ZIP_STORED
    if entry.compress_type not in METHODS or entry.flag_bits & 1:
      raise Damaged("an entry is encrypted or compressed in a way that is not read here")
    if stored and entry.file_size != entry.compress_size:
      raise Damaged("an entry declares two sizes")
  unpacked = sum(entry.file_size for entry in entries.values())
  if unpacked > max(MOST_BYTES_ANYWAY, MOST_TIMES_THE_FILE * size):
    raise Damaged(f"{size:,} bytes that would unpack to {unpacked:,} are not weights")


class Archive:
  """The entries of a checked zip file."""

  def __init__(self, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]):
    self._archive = archive
    self.entries = entries

  def read(self, name: str) -> bytes:
    """Returns an entry's content, at most as many bytes as it declares.

    Raises:
      KeyError: There is no such entry.
      Damaged: It ends early.
    """
    entry = self.entries[name]
    with self._archive.open(entry) as file:
      content = file.read(entry.file_size)  # without a size, it unpacks everything first
    if len(content) != entry.file_size:
      raise Damaged("an entry ends early")
    return content
