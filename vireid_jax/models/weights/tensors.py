"""Tensors of a PyTorch file: views of flat storages, checked before any number is read."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from vireid_jax.common.errors import UserError, printable

DTYPES = {
  "DoubleStorage": np.float64,
  "FloatStorage": np.float32,
  "HalfStorage": np.float16,
  "BFloat16Storage": ml_dtypes.bfloat16,
  "LongStorage": np.int64,
  "IntStorage": np.int32,
  "ShortStorage": np.int16,
  "CharStorage": np.int8,
  "ByteStorage": np.uint8,
  "BoolStorage": np.bool_,
}
FLOATS = tuple(np.dtype(kind) for kind in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64))
MOST_AXES = 32
# Tensors may share numbers, as tied weights do. Beyond a few bytes, all of them together are at
# most this many times the numbers that they are views of.
MOST_TIMES_SHARED = 4
MOST_BYTES_ANYWAY = 2**24
VARIANCE = "running_var"
MOST_SHOWN = 60  # letters of a name from a file


@dataclasses.dataclass(frozen=True)
class Storage:
  """A flat run of numbers in the file; tensors are views of it."""

  key: str
  dtype: np.dtype
  size: int

  @property
  def nbytes(self) -> int:
    """Bytes of all its numbers."""
    return self.size * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class TensorView:
  """A tensor whose numbers are not read yet."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  @property
  def size(self) -> int:
    """How many numbers it has."""
    return math.prod(self.shape)

  def check(self) -> None:
    """Raises ValueError when the view reaches beyond its storage, or repeats its numbers."""
    sizes = (*self.shape, *self.strides, self.offset)
    if len(self.shape) != len(self.strides) or not all(map(is_count, sizes)):
      raise ValueError("impossible tensor: a size that is no count")
    if len(self.shape) > MOST_AXES:
      raise ValueError(f"impossible tensor of {len(self.shape)} axes")
    if 0 in self.shape:
      return
    reach = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
    if self.offset + reach >= self.storage.size:
      raise ValueError(
        f"a tensor of shape {self.shape} reaches beyond its {self.storage.size} numbers"
      )
    if self.size > self.storage.size:
      raise ValueError(f"a tensor of shape {self.shape} repeats its {self.storage.size} numbers")

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Returns the tensor as an array of its own.

    Args:
      numbers: of the storage.

    Raises:
      ValueError: see `check`.
    """
    self.check()
    if 0 in self.shape:
      return np.zeros(self.shape, numbers.dtype)
    strides = [stride * numbers.itemsize for stride in self.strides]
    view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
    return np.array(view)


def is_count(value: Any) -> bool:
  """Whether a value is an integer that a size may have."""
  return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48


def read_all(
  views: Mapping[str, TensorView], numbers: Callable[[Storage], np.ndarray]
) -> dict[str, np.ndarray]:
  """Reads every storage once and cuts its tensors from it.

  Args:
    views: by name.
    numbers: reads a storage.

  Raises:
    ValueError: a tensor does not fit its storage, or all of them together repeat their numbers.
  """
  by_storage: dict[Storage, list[str]] = {}
  for name, view in views.items():
    view.check()
    by_storage.setdefault(view.storage, []).append(name)
  given = sum(view.size * view.storage.dtype.itemsize for view in views.values())
  held = sum(storage.nbytes for storage in by_storage)
  if given > max(MOST_BYTES_ANYWAY, MOST_TIMES_SHARED * held):
    raise ValueError("the tensors repeat the same numbers over and over")
  found = {}
  for storage, names in by_storage.items():
    content = numbers(storage)
    found |= {name: views[name].read(content) for name in names}
  return {name: found[name] for name in views}


def shown(name: str) -> str:
  """Returns a name from a file as a message may show it."""
  return printable(name if len(name) <= MOST_SHOWN else name[: MOST_SHOWN - 3] + "...")


def check_values(tensors: Mapping[str, np.ndarray]) -> None:
  """Checks that tensors can be those of a network.

  Raises:
    UserError: names a tensor of text, complex numbers or the like, or one that is not finite or
      holds a negative variance.
  """
  for name, tensor in tensors.items():
    if tensor.dtype not in FLOATS and tensor.dtype.kind not in "iub":
      raise UserError(
        f"tensor {shown(name)} holds {tensor.dtype}, which no network computes with; save the "
        "weights as float32, float16, bfloat16 or float64, and nothing else beside them"
      )
    if name.endswith(VARIANCE) and (tensor < 0).any():
      raise UserError(f"tensor {shown(name)} holds variances below zero; the file is damaged")
  bad = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
  if bad:
    more = f" and {len(bad) - 3} more tensors" if len(bad) > 3 else ""
    raise UserError(
      f"{', '.join(map(shown, bad[:3]))}{more}: not all numbers are finite; the training that "
      "wrote the file had failed by then. Use an earlier file of it, or another one"
    )


def _is_finite(tensor: np.ndarray) -> bool:
  return tensor.dtype not in FLOATS or bool(np.isfinite(tensor).all())
