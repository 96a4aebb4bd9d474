"""Files of torch.save, read without PyTorch and without running what their pickle asks for."""

import collections
import dataclasses
import io
import pathlib
import pickle
import zipfile
from typing import Any

import ml_dtypes
import numpy as np

from vireid_jax.errors import UserError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
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
# Authors keep their scores beside the weights. What NumPy values and losses are pickled with is
# replaced by a placeholder that does nothing.
SKIPPED = {
  ("_codecs", "encode"),
  ("numpy", "dtype"),
  ("numpy", "ndarray"),
  ("numpy.core.multiarray", "_reconstruct"),
  ("numpy.core.multiarray", "scalar"),
  ("numpy._core.multiarray", "_reconstruct"),
  ("numpy._core.multiarray", "scalar"),
}


@dataclasses.dataclass(frozen=True)
class Storage:
  """A flat run of numbers in the file; tensors are views of it."""

  key: str
  dtype: np.dtype
  size: int


@dataclasses.dataclass(frozen=True)
class TensorView:
  """A tensor whose numbers are not read yet."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Returns the tensor as an array of its own.

    Raises:
      ValueError: the view reaches beyond its storage.
    """
    sizes = (*self.shape, *self.strides, self.offset)
    if len(self.shape) != len(self.strides) or any(size < 0 for size in sizes):
      raise ValueError(f"impossible tensor {self}")
    reach = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
    if 0 not in self.shape and self.offset + reach >= len(numbers):
      raise ValueError(f"a tensor of shape {self.shape} reaches beyond its {len(numbers)} numbers")
    if 0 in self.shape:
      return np.zeros(self.shape, numbers.dtype)
    strides = [stride * numbers.itemsize for stride in self.strides]
    view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
    return np.array(view)


class Skipped:
  """Stands for an object that is of no use here; accepts whatever a pickle does to it."""

  def __init__(self, *args):
    del args

  def __setstate__(self, state):
    del state


class _Unpickler(pickle.Unpickler):
  """Admits tensors and plain containers, and refuses every other global by name.

  Attributes:
    storages: what the object refers to, by key.
  """

  def __init__(self, file):
    super().__init__(file)
    self.storages: dict[str, Storage] = {}

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) == ("collections", "OrderedDict"):
      return collections.OrderedDict
    if (module, name) in _REBUILDERS:
      return _REBUILDERS[module, name]
    if module == "torch" and name in DTYPES:
      return np.dtype(DTYPES[name])
    if (module, name) in SKIPPED:
      return Skipped
    raise UserError(
      f"the file asks to run {module}.{name}, which a file of weights has no need of; nothing was "
      "run. Save the state dict alone, torch.save(model.state_dict(), path), or as .safetensors"
    )

  def persistent_load(self, saved: Any) -> Storage:
    kind, dtype, key, _, size, *_ = saved
    if kind != "storage" or not isinstance(dtype, np.dtype):
      raise pickle.UnpicklingError(f"unknown kind of stored object {kind!r}")
    return self.storages.setdefault(str(key), Storage(str(key), dtype, size))


def _rebuild_tensor(storage: Storage, offset: int, shape, strides, *_) -> TensorView:
  return TensorView(storage, offset, tuple(shape), tuple(strides))


_REBUILDERS = {
  ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
  ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
  ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
}


def read(path: pathlib.Path) -> Any:
  """Reads what torch.save wrote, in the zip format or the one before PyTorch 1.6.

  Args:
    path: of the file.

  Returns:
    The saved object, with NumPy arrays for tensors; bfloat16 ones have ml_dtypes' type.

  Raises:
    UserError: the pickle names anything but tensors and containers. It is not run.
    Exception: of many kinds, when the file is damaged.
  """
  return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)


def _read_zip(path: pathlib.Path) -> Any:
  with zipfile.ZipFile(path) as archive:
    names = archive.namelist()
    root = next(name for name in names if name.endswith("data.pkl")).removesuffix("data.pkl")
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
      raise ValueError("the file was written on a big-endian machine")
    saved = _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl"))).load()

    def numbers(storage: Storage) -> np.ndarray:
      return np.frombuffer(archive.read(f"{root}data/{storage.key}"), storage.dtype)

    return _read_tensors(saved, numbers)


def _read_legacy(path: pathlib.Path) -> Any:
  with path.open("rb") as file:
    # Magic number, protocol and system, then the object, then the storages it refers to.
    if _Unpickler(file).load() != LEGACY_MAGIC:
      raise ValueError("not a file of torch.save")
    for _ in range(2):
      _Unpickler(file).load()
    unpickler = _Unpickler(file)
    saved = unpickler.load()
    keys = _Unpickler(file).load()
    content = {key: _read_storage(file, unpickler.storages[key]) for key in keys}
    return _read_tensors(saved, lambda storage: content[storage.key])


def _read_storage(file, storage: Storage) -> np.ndarray:
  size = int.from_bytes(file.read(8), "little")
  content = file.read(size * storage.dtype.itemsize)
  if size != storage.size or len(content) != size * storage.dtype.itemsize:
    raise EOFError("the file ends within a tensor")
  return np.frombuffer(content, storage.dtype)


def _read_tensors(saved: Any, numbers) -> Any:
  if isinstance(saved, TensorView):
    return saved.read(numbers(saved.storage))
  if isinstance(saved, dict):
    return {key: _read_tensors(value, numbers) for key, value in saved.items()}
  return saved
