"""PyTorch weights: reads files, and converts tensors to our variables and back."""

import pathlib
import stat

import numpy as np

from vireid_jax.common import bucket_cache, paths
from vireid_jax.common.errors import UserError, printable
from vireid_jax.models.weights import damage, hub, plain_files, state_dict, tensors, torch_file
from vireid_jax.models.weights.assign import export_weights, import_weights
from vireid_jax.models.weights.names import NameTable, name_table, pretrained_table
from vireid_jax.models.weights.positions import resize_all as resize_positions
from vireid_jax.models.weights.shares import Shares, shares

__all__ = [
  "NameTable",
  "Shares",
  "export_weights",
  "find_file",
  "import_weights",
  "load_weights",
  "name_table",
  "pretrained_table",
  "resize_positions",
  "shares",
  "unfit",
]


def load_weights(source: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a PyTorch model's tensors without PyTorch.

  Args:
    source: A .safetensors or .npz file, a file written by torch.save (.pth, .pt, .t, ...), or
      'hf://owner/name[/file]'.

  Returns:
    Arrays by PyTorch name: finite floats, and integers, which count batches. The prefix of a
    data-parallel model is removed. Memory use is proportional to the file's size.

  Raises:
    UserError: The file is missing or damaged, holds no tensors or not those of a network, or is a
      pickle that asks for more than tensors. No code in a pickle is ever run.
  """
  path = hub.fetch(str(source)) if str(source).startswith(hub.SCHEME) else source
  path = find_file(path)
  reader = _READERS.get(path.suffix.lower(), torch_file.read)
  try:
    weights = reader(path)
    tensors.check_values(weights)
    return weights
  except UserError as error:
    raise UserError(f"{printable(str(path))}: {error}") from None
  except OSError as error:
    reason = error.strerror or "the disk gave an error"
    raise UserError(
      f"{printable(str(path))} cannot be read: {reason}; check its rights, or give another file"
    ) from error
  # A damaged file may raise anything.
  except Exception as error:
    kind = printable(path.suffix) or "a file"
    reason, remedy = damage.describe(path, error)
    because = f" ({printable(reason)[:MOST_SHOWN]})" if reason else ""
    raise UserError(
      f"{printable(str(path))} cannot be read as {kind} of weights; it is truncated or of "
      f"another format{because}. {remedy}"
    ) from error


def find_file(source: str | pathlib.Path) -> pathlib.Path:
  """Returns the path of a file of weights.

  Raises:
    UserError: The file is missing, or is a folder, a pipe or the like.
  """
  if reason := unfit(source):
    raise UserError(f"no file of weights at {printable(str(source))[:MOST_SHOWN]}: {reason}")
  return bucket_cache.local(paths.path(source))


def unfit(source: str | pathlib.Path) -> str:
  """Returns why a path is not a weights file, and what to give instead; empty if it is one."""
  try:
    path = paths.path(source)
    if paths.is_remote(path):
      return "" if path.is_file() else "no such file in the bucket; give a file of weights"
    mode = path.stat().st_mode
  except FileNotFoundError:
    what = "a link to a file that is gone" if path.is_symlink() else "no such file"
  # A path that is too long, has a zero byte or an unknown user after ~, or crosses a closed folder.
  except (OSError, ValueError, RuntimeError) as error:
    what = str(getattr(error, "strerror", None) or error)
  else:
    if stat.S_ISREG(mode):
      return ""
    what = "it is a folder" if stat.S_ISDIR(mode) else "it is a pipe, device or socket"
  return f"{what}; give a .safetensors, .npz or .pth file, or a name such as {hub.EXAMPLE}"


def _plain(read):
  return lambda path: state_dict.find(read(path), np.ndarray)


MOST_SHOWN = 300
_READERS = {
  ".safetensors": _plain(plain_files.read_safetensors),
  ".npz": _plain(plain_files.read_npz),
}
