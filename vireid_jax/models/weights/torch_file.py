"""Reads files of torch.save without PyTorch, and without running code in their pickles."""

import io
import pathlib
import zipfile
from typing import Any, BinaryIO

import numpy as np

from vireid_jax.common.errors import UserError
from vireid_jax.models.weights import archive, state_dict
from vireid_jax.models.weights.damage import Damaged
from vireid_jax.models.weights.interpreter import OPAQUE, Global, Interpreter
from vireid_jax.models.weights.tensors import (
  DTYPES,
  Storage,
  TensorView,
  is_count,
  read_all,
  shown,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LONGEST_LINE = 2**16
# Files often also have scores and options. Their pickled objects are replaced by an inert
# placeholder.
SKIPPED = {
  ("_codecs", "encode"),
  ("argparse", "Namespace"),
  ("builtins", "set"),
  ("__builtin__", "set"),
  ("numpy", "dtype"),
  ("numpy", "ndarray"),
  ("numpy.core.multiarray", "_reconstruct"),
  ("numpy.core.multiarray", "scalar"),
  ("numpy._core.multiarray", "_reconstruct"),
  ("numpy._core.multiarray", "scalar"),
  ("torch", "device"),
  ("torch", "Size"),
}
TENSORS = {
  ("torch._utils", "_rebuild_tensor"),
  ("torch._utils", "_rebuild_tensor_v2"),
}
PARAMETERS = {
  ("torch._utils", "_rebuild_parameter"),
  ("torch._utils", "_rebuild_parameter_with_state"),
}
DICT = ("collections", "OrderedDict")


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a state dict written by torch.save, in the zip format or the one before PyTorch 1.6.

  Args:
    path: Path of the file.

  Returns:
    Arrays by name; bfloat16 is ml_dtypes' type. Tensors outside the state dict, such as an
    optimiser's, are not read.

  Raises:
    UserError: The pickle names something other than tensors and containers (which is not run), or
      has no state dict or several.
    Exception: Any kind, if the file is damaged.
  """
  return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)


class _Pickle:
  """Reads the pickles of a file, and collects the storages that they refer to."""

  def __init__(self):
    self.storages: dict[str, Storage] = {}

  def read(self, file: BinaryIO) -> Any:
    """Reads one pickle.

    Raises:
      UserError: It asks for more than tensors.
      Damaged: It cannot be read.
    """
    try:
      return Interpreter(_admit, self._call, self._stored).run(file)
    except (UserError, Damaged):
      raise
    except Exception as error:  # of a damaged pickle any kind, about instructions and stacks
      raise Damaged("its list of tensors, a pickle, is damaged") from error

  def _call(self, target: Global, arguments: tuple) -> Any:
    key = (target.module, target.name)
    if key in TENSORS:
      return _tensor(*arguments[:4])
    if key in PARAMETERS and isinstance(arguments[0], TensorView):
      return arguments[0]
    if key == DICT and not arguments:
      return {}
    if key in SKIPPED:
      return OPAQUE
    raise Damaged(f"{shown(target.name)} is not called like this")

  def _stored(self, saved: Any) -> Storage:
    kind, dtype, key, _, size, *views = saved
    if kind != "storage" or not isinstance(dtype, Global) or dtype.module != "torch":
      raise Damaged("unknown kind of stored object")
    if any(views) or not isinstance(key, str) or not is_count(size):
      raise Damaged("a storage of an unknown form")
    storage = Storage(key, np.dtype(DTYPES[dtype.name]), size)
    if self.storages.setdefault(key, storage) != storage:
      raise Damaged("two storages have one name")
    return storage


def _admit(named: Global) -> None:
  """Raises UserError for a global that tensors and plain containers do not need."""
  key = (named.module, named.name)
  if key in TENSORS | PARAMETERS | SKIPPED | {DICT}:
    return
  if named.module == "torch" and named.name in DTYPES:
    return
  if named.module.split(".")[0] == "torch" and named.name.endswith("Storage"):
    raise UserError(
      f"it holds numbers of type {shown(named.name.removesuffix('Storage'))}, which no network "
      "here computes with; save the weights as float32: "
      "torch.save({k: v.float() for k, v in model.state_dict().items()}, path)"
    )
  raise UserError(
    f"the file asks to run {shown(named.module)}.{shown(named.name)}, which a weights file "
    "does not need; nothing was run. Save only the state dict, "
    "torch.save(model.state_dict(), path), or as .safetensors"
  )


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> TensorView:
  if not isinstance(storage, Storage) or not all(isinstance(x, tuple) for x in (shape, strides)):
    raise Damaged("a tensor of an unknown form")
  return TensorView(storage, offset, shape, strides)


def _read_zip(path: pathlib.Path) -> dict[str, np.ndarray]:
  with archive.opened(path) as file:
    pickles = [name for name in file.entries if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
      raise Damaged("a zip archive that torch.save did not write")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in file.entries and file.read(f"{root}byteorder") != b"little":
      raise Damaged("the file was written on a big-endian machine")
    views = state_dict.find(_Pickle().read(io.BytesIO(file.read(pickles[0]))), TensorView)

    def numbers(storage: Storage) -> np.ndarray:
      name = f"{root}data/{storage.key}"
      if file.entries[name].file_size != storage.nbytes:
        raise Damaged("a storage has another size than its tensors expect")
      return np.frombuffer(file.read(name), storage.dtype)

    return read_all(views, numbers)


def _read_legacy(path: pathlib.Path) -> dict[str, np.ndarray]:
  with path.open("rb") as raw:
    file = _Bounded(raw, path.stat().st_size)
    # Magic number, protocol and system, then the object, then the storages it refers to.
    if not _is_magic(file):
      raise Damaged("it does not begin as a file of torch.save")
    _Pickle().read(file)
    system = _Pickle().read(file)
    if isinstance(system, dict) and system.get("little_endian") is False:
      raise Damaged("the file was written on a big-endian machine")
    pickle = _Pickle()
    views = state_dict.find(pickle.read(file), TensorView)
    places = _places(file, _Pickle().read(file), pickle.storages)

    def numbers(storage: Storage) -> np.ndarray:
      raw.seek(places[storage.key])
      return np.frombuffer(raw.read(storage.nbytes), storage.dtype)

    return read_all(views, numbers)


def _is_magic(file: "_Bounded") -> bool:
  try:
    return _Pickle().read(file) == LEGACY_MAGIC
  except Damaged:
    return False


def _places(file: "_Bounded", keys: Any, storages: dict[str, Storage]) -> dict[str, int]:
  """Returns the offset of each storage, and checks that all are complete."""
  places = {}
  for key in keys:
    size, storage = int.from_bytes(file.read(8), "little"), storages[key]
    if size != storage.size:
      raise Damaged("a storage has another size than its tensors expect")
    places[key] = file.tell()
    file.skip(storage.nbytes)
  return places


class _Bounded:
  """A file that refuses to read past its end, since reading allocates the requested size."""

  def __init__(self, file: BinaryIO, size: int):
    self._file, self._size, self._position = file, size, 0

  def tell(self) -> int:
    return self._position

  def read(self, count: int) -> bytes:
    self._advance(count)
    return self._file.read(count)

  def readline(self) -> bytes:
    line = self._file.readline(LONGEST_LINE)
    self._position += len(line)
    return line

  def skip(self, count: int) -> None:
    self._advance(count)
    self._file.seek(count, io.SEEK_CUR)

  def _advance(self, count: int) -> None:
    self._position += count
    if self._position > self._size:
      raise Damaged("the file ends early")
