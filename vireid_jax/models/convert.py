"""Weights from the PyTorch world: reading files, and moving tensors to our variables and back."""

import pathlib
from typing import Any

import numpy as np

from vireid_jax.errors import UserError
from vireid_jax.models.weights import hub, torch_file
from vireid_jax.models.weights.assign import export_weights, import_weights
from vireid_jax.models.weights.names import NameTable, name_table

__all__ = ["NameTable", "export_weights", "import_weights", "load_weights", "name_table"]

# Under which authors keep the state dict beside their scores.
STATE_KEYS = ("state_dict", "net", "model")
PARALLEL_PREFIX = "module."


def load_weights(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a PyTorch model's tensors; PyTorch itself is not needed.

  Args:
    path: a file of type .safetensors, .npz, or whatever torch.save wrote (.pth, .pt, .t, ...); or
      'hf://owner/name[/file]'.

  Returns:
    Arrays by PyTorch's name; the prefix of a data-parallel model is taken off.

  Raises:
    UserError: no such file, a damaged one, one that holds no tensors, or a pickle that asks for
      more than tensors. Nothing in a pickle is ever run.
  """
  if str(path).startswith(hub.SCHEME):
    path = hub.fetch(str(path))
  path = pathlib.Path(path).expanduser()
  if not path.is_file():
    raise UserError(
      f"no file of weights at {path}; give a .safetensors, .npz or .pth file, or a name such as "
      f"{hub.EXAMPLE}"
    )
  reader = _READERS.get(path.suffix, torch_file.read)
  try:
    weights = _state_dict(reader(path))
  except UserError as error:
    raise UserError(f"{path}: {error}") from None
  # A damaged file fails in as many ways as there are bytes.
  except Exception as error:
    raise UserError(
      f"{path} cannot be read as {path.suffix or 'a file'} of weights; it is truncated or of "
      f"another format ({type(error).__name__}: {error}). Fetch it again"
    ) from error
  if not weights:
    raise UserError(f"{path} holds no tensors; expected a state dict: {{name: tensor}}")
  return weights


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
  from safetensors import numpy as safetensors

  return safetensors.load_file(path)


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  with np.load(path, allow_pickle=False) as archive:
    return {name: archive[name] for name in archive.files}


_READERS = {".safetensors": _read_safetensors, ".npz": _read_npz}


def _state_dict(saved: Any) -> dict[str, np.ndarray]:
  if not isinstance(saved, dict):
    return {}
  for key in STATE_KEYS:
    if isinstance(saved.get(key), dict):
      return _state_dict(saved[key])
  tensors = {name: value for name, value in saved.items() if isinstance(value, np.ndarray)}
  if tensors and all(name.startswith(PARALLEL_PREFIX) for name in tensors):
    tensors = {name.removeprefix(PARALLEL_PREFIX): value for name, value in tensors.items()}
  return tensors
