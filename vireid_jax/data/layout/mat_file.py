"""Reads cells and numeric matrices from MATLAB files of format 5.

`scipy.io.loadmat` reads more kinds, but crashes the process with a segmentation fault on some
damaged files; this reader raises an error instead.

Reference: MathWorks, MAT-File Format (level 5), R2023b.
"""

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

MOST_BYTES = 1 << 28  # of a variable once decompressed
DEEPEST = 8  # cells in cells
_MATRIX, _COMPRESSED = 14, 15  # kinds of data elements
_CELL, _NUMERIC = 1, range(6, 16)  # classes of arrays
_STORED_AS = {
  1: "i1",
  2: "u1",
  3: "i2",
  4: "u2",
  5: "i4",
  6: "u4",
  7: "f4",
  9: "f8",
  12: "i8",
  13: "u8",
}


def read(data: bytes, name: str) -> np.ndarray:
  """Returns one variable of a file.

  Args:
    data: Content of the file.
    name: Name of the variable.

  Returns:
    A numeric array, or for a cell an object array of such arrays.

  Raises:
    ValueError, zlib.error: The file has another format, is damaged, or lacks the variable.
  """
  if data[126:128] not in (b"IM", b"MI"):
    raise ValueError("it is not a MATLAB file of format 5")
  order = "<" if data[126:128] == b"IM" else ">"
  for kind, content in _elements(memoryview(data)[128:], order):
    if kind == _COMPRESSED:
      kind, content = next(_elements(_decompressed(content), order), (None, None))
    if kind == _MATRIX:
      found, value = _matrix(content, order)
      if found == name:
        return value
  raise ValueError(f"it has no variable {name}")


def _decompressed(content: memoryview) -> memoryview:
  stream = zlib.decompressobj()
  data = stream.decompress(content, MOST_BYTES)
  if not stream.eof:
    raise ValueError("a compressed variable ends early, or is far too large")
  return memoryview(data)


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
  """Yields (kind, content) of consecutive data elements."""
  at = 0
  while at + 8 <= len(data):
    kind, size = struct.unpack_from(f"{order}2I", data, at)
    if kind >> 16:  # a small element: its size is in the upper bits, its content follows at once
      kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
    else:
      padded = size if kind == _COMPRESSED else -(-size // 8) * 8
      start, step = at + 8, 8 + padded
    if start + size > len(data):
      raise ValueError("it ends early")
    yield kind, data[start : start + size]
    at += step


def _matrix(content: memoryview, order: str, depth: int = 0) -> tuple[str, np.ndarray]:
  """Returns (name, value) of a matrix element."""
  if not len(content):
    return "", np.zeros((0, 0))  # MATLAB's [] in a cell
  parts = list(_elements(content, order))
  if len(parts) < 3 or depth > DEEPEST:
    raise ValueError("an array has no header, or is nested too deep")
  flags, shape = (_numbers(*part, order) for part in parts[:2])
  kind = int(flags[0]) & 0xFF if len(flags) else 0
  shape, name = [int(length) for length in shape], bytes(parts[2][1]).decode("latin-1")
  if kind == _CELL:
    cells = [_matrix(each, order, depth + 1)[1] for number, each in parts[3:] if number == _MATRIX]
    value = np.empty(len(cells), object)
    for place, cell in enumerate(cells):  # one by one, or NumPy would stack cells of equal shape
      value[place] = cell
  elif kind in _NUMERIC and len(parts) > 3:
    value = _numbers(*parts[3], order)
  else:
    return name, np.zeros(0, object)  # text or structure: not read
  if min(shape, default=-1) < 0 or math.prod(shape) != len(value):
    raise ValueError(f"an array of shape {shape} holds {len(value)} values")
  return name, value.reshape(shape, order="F")


def _numbers(kind: int, content: memoryview, order: str) -> np.ndarray:
  if kind not in _STORED_AS:
    raise ValueError(f"numbers are stored in an unknown way ({kind})")
  return np.frombuffer(content, np.dtype(order + _STORED_AS[kind]))
