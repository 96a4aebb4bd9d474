"""Encoded images that stay on disk until they are accessed."""

from collections.abc import Sequence

import numpy as np


class StoredPictures(Sequence):
  """A read-only, thread-safe sequence of bytes over one field of TFDS data sources."""

  def __init__(self, sources: list, rows: np.ndarray, field: str):
    """Reads nothing yet.

    Args:
      sources: Random-access data sources whose examples have the field undecoded.
      rows: int64 [n, 2], index of the source and of its example for each item.
      field: 'image' or 'mask'.
    """
    self._sources, self._rows, self._field = sources, rows, field

  def __len__(self) -> int:
    return len(self._rows)

  def __getitem__(self, index: int) -> bytes:
    source, row = self._rows[index]
    return bytes(self._sources[source][int(row)][self._field])

  def take(self, rows: np.ndarray) -> "StoredPictures":
    """Returns the pictures at `rows` (int [m]), still on disk."""
    return StoredPictures(self._sources, self._rows[rows], self._field)


def whole(source, field: str) -> StoredPictures:
  """Returns all pictures of a data source."""
  rows = np.stack([np.zeros(len(source), np.int64), np.arange(len(source))], axis=1)
  return StoredPictures([source], rows, field)


def take(pictures: Sequence[bytes], rows: np.ndarray) -> Sequence[bytes]:
  """Returns the pictures at `rows`, still in memory or on disk as before."""
  if isinstance(pictures, StoredPictures):
    return pictures.take(rows)
  return [pictures[row] for row in rows]


def join(parts: list[Sequence[bytes]]) -> Sequence[bytes]:
  """Concatenates sequences, which are either all in memory or all on disk."""
  if not isinstance(parts[0], StoredPictures):
    return [picture for part in parts for picture in part]
  sources, rows = [], []
  for part in parts:
    rows.append(part._rows + np.array([len(sources), 0]))
    sources += part._sources
  return StoredPictures(sources, np.concatenate(rows), parts[0]._field)
