"""Tensors of a PyTorch file: views of flat storages, validated before they are read."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from vireid_jax.common.errors import UserError, printable
from vireid_jax.models.weights.damage import Damaged

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
# Tensors may share a storage, like tied weights. Above MOST_BYTES_ANYWAY, all tensors together may
# have at most this many times the bytes of their storages.
MOST_TIMES_SHARED = 4
MOST_BYTES_ANYWAY = 2**24
VARIANCE = "running_var"
MOST_SHOWN = 60  # letters of a tensor's name


@dataclasses.dataclass(frozen=True)
class Storage:
  """A flat array in the file; tensors are views of it."""

  key: str
  dtype: np.dtype
  size: int

  @property
  def nbytes(self) -> int:
    """Size in bytes."""
    return self.size * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class TensorView:
  """A tensor that is not read yet."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  @property
  def size(self) -> int:
    """Number of elements."""
    return math.prod(self.shape)

  def check(self) -> None:
    """Raises Damaged if the view exceeds its storage, or repeats its elements."""
    sizes = (*self.shape, *self.strides, self.offset)
    if len(self.shape) != len(self.strides) or not all(map(is_count, sizes)):
      raise Damaged("impossible tensor: a size is not a whole number")
    if len(self.shape) > MOST_AXES:
      raise Damaged(f"impossible tensor of {len(self.shape)} axes")
    if 0 in self.shape:
      return
    reach = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
    if self.offset + reach >= self.storage.size:
      raise Damaged(
        f"a tensor of shape {self.shape} reaches beyond its {self.storage.size} numbers"
      )
    if self.size > self.storage.size:
      raise Damaged(f"a tensor of shape {self.shape} repeats its {self.storage.size} numbers")

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Returns the tensor as a new array.

    Args:
      numbers: Elements of the storage.

    Raises:
      Damaged: The view is invalid; see `check`.
    """
    self.check()
    if 0 in self.shape:
      return np.zeros(self.shape, numbers.dtype)
    strides = [stride * numbers.itemsize for stride in self.strides]
    view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
    return np.array(view)


def is_count(value: Any) -> bool:
  """Returns whether a value is a valid size."""
  return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48


def read_all(
  views: Mapping[str, TensorView], numbers: Callable[[Storage], np.ndarray]
) -> dict[str, np.ndarray]:
  """Reads each storage once, with all its tensors.

  Args:
    views: Tensors by name.
    numbers: Function that reads a storage.

  Raises:
    Damaged: A tensor does not fit its storage, or tensors share storages excessively.
  """
  by_storage: dict[Storage, list[str]] = {}
  for name, view in views.items():
    view.check()
    by_storage.setdefault(view.storage, []).append(name)
  given = sum(view.size * view.storage.dtype.itemsize for view in views.values())
  held = sum(storage.nbytes for storage in by_storage)
  if given > max(MOST_BYTES_ANYWAY, MOST_TIMES_SHARED * held):
    raise Damaged("the tensors repeat the same numbers over and over")
  found = {}
  for storage, names in by_storage.items():
    content = numbers(storage)
    found |= {name: views[name].read(content) for name in names}
  return {name: found[name] for name in views}


def shown(name: str) -> str:
  """Returns a tensor's name, shortened and printable, for a message."""
  return printable(name if len(name) <= MOST_SHOWN else name[: MOST_SHOWN - 3] + "...")


def check_values(tensors: Mapping[str, np.ndarray]) -> None:
  """Checks that tensors are plausible weights of a network.

  Raises:
    UserError: A tensor is of text, complex numbers or the like, is not finite, or has a negative
      variance.
  """
  for name, tensor in tensors.items():
    if tensor.dtype not in FLOATS and tensor.dtype.kind not in "iub":
      raise UserError(
        f"tensor {shown(name)} holds {tensor.dtype}, which no network computes with; save only "
        "the weights, as float32, float16, bfloat16 or float64"
      )
    if name.endswith(VARIANCE) and (tensor < 0).any():
      raise UserError(f"tensor {shown(name)} holds variances below zero; the file is damaged")
  bad = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
  if bad:
    more = f" and {len(bad) - 3} more tensors" if len(bad) > 3 else ""
    raise UserError(
      f"{', '.join(map(shown, bad[:3]))}{more}: not all numbers are finite; the training run "
      "had diverged. Use an earlier file of it, or another one"
    )


def _is_finite(tensor: np.ndarray) -> bool:
  return tensor.dtype not in FLOATS or bool(np.isfinite(tensor).all())
