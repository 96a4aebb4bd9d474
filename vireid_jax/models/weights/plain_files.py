"""Reads tensor files without pickles: .npz and .safetensors."""

import io
import math
import pathlib

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.models.weights import archive
from vireid_jax.models.weights.damage import Damaged
from vireid_jax.models.weights.tensors import shown

NPZ_HEADERS = {
  (1, 0): np.lib.format.read_array_header_1_0,
  (2, 0): np.lib.format.read_array_header_2_0,
}
SAFETENSORS_DTYPES = {
  *("F64", "F32", "F16", "BF16", "BOOL"),
  *("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8"),
}


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a .safetensors file.

  Raises:
    UserError: A tensor has a dtype that no network here uses.
    Exception: Any kind, if the file is damaged.
  """
  from safetensors import safe_open

  with safe_open(path, framework="np") as file:
    names = file.keys()
    for name in names:
      dtype = file.get_slice(name).get_dtype()
      if dtype not in SAFETENSORS_DTYPES:
        raise UserError(f"tensor {shown(name)} holds {dtype}; save the weights as float32")
    return {name: file.get_tensor(name) for name in names}


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a .npz file; refuses pickled objects.

  Raises:
    Exception: Any kind, if the file is damaged.
  """
  with archive.opened(path) as file:
    return {name.removesuffix(".npy"): _array(file.read(name)) for name in file.entries}


def _array(content: bytes) -> np.ndarray:
  """Reads an array written by np.save, without allocating more than its content."""
  file = io.BytesIO(content)
  version = np.lib.format.read_magic(file)
  shape, in_columns, dtype = NPZ_HEADERS[version](file)
  if dtype.hasobject:
    raise Damaged("an array of pickled objects, which are not read")
  count, start = math.prod(shape), file.tell()
  if min(shape, default=0) < 0 or count * dtype.itemsize != len(content) - start:
    raise Damaged("an array has another size than its header says")
  if not count:
    return np.zeros(shape, dtype)
  numbers = np.frombuffer(content, dtype, count, start)
  numbers = numbers.astype(dtype.newbyteorder("="), copy=False)
  return numbers.reshape(shape, order="F" if in_columns else "C")
