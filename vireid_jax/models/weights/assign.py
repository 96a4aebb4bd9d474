"""Converts PyTorch tensors to our variables and back."""

from collections.abc import Mapping

import jax
import numpy as np

from vireid_jax.common import tree_paths
from vireid_jax.common.errors import UserError
from vireid_jax.common.types import Variables
from vireid_jax.models.weights.names import NameTable
from vireid_jax.models.weights.tensors import FLOATS, shown

MOST_SHOWN = 20


def import_weights(
  variables: Variables,
  weights: Mapping[str, np.ndarray],
  table: NameTable,
  *,
  as_published: bool = False,
) -> tuple[Variables, list[str]]:
  """Fills variables with PyTorch tensors, cast to the variables' dtypes.

  Args:
    variables: All collections, as arrays, or as shapes if the table is not partial.
    weights: Tensors by PyTorch name.
    table: Name table of the tensors' family.
    as_published: Overwrite the tensors that the published code overwrites on loading, to continue
      training like it; see `NameTable.overwritten`.

  Returns:
    The new variables as NumPy arrays, and the names of tensors that were ignored on purpose.

  Raises:
    UserError: The tensors do not fit: lists with - what the file lacks or has in another shape, and
      with + what the network has no place for; or a tensor is not of floats.
  """
  weights = table.unpack(weights)
  if as_published:
    sources = {name: table.overwritten.get(name, name) for name in weights}
    weights = {name: weights[source] for name, source in sources.items() if source in weights}
  flat = tree_paths.named_leaves(variables)
  names = {path: table.translate(path) for path in flat}
  missing, filled, used = [], {}, set()
  for path, leaf in flat.items():
    name = names[path]
    value = None if name is None else weights.get(name)
    if name is None and table.partial:
      filled[path] = leaf
    elif value is None or _to_ours(value, path).shape != leaf.shape:
      missing.append((name or path, _torch_shape(leaf, path)))
    else:
      filled[path] = _cast(name, _to_ours(value, path), leaf.dtype)
      used.add(name)
  wanted = set(names.values())
  ignored = [name for name in weights if name not in wanted and table.ignores(name)]
  extra = [(name, weights[name].shape) for name in weights.keys() - used - set(ignored)]
  if missing or extra or not used:
    raise UserError(_explain(table, missing, extra))
  return jax.tree.unflatten(jax.tree.structure(variables), filled.values()), ignored


def export_weights(variables: Variables, table: NameTable) -> dict[str, np.ndarray]:
  """Returns variables under PyTorch's names and layouts, without arrays that have no name.

  Raises:
    UserError: Two arrays with the same name differ, such as two stems in torchvision's names.
  """
  weights = {}
  for path, leaf in tree_paths.named_leaves(variables).items():
    name = table.translate(path)
    if name is None:
      continue
    value = _to_torch(np.asarray(leaf), path)
    if name in weights and not np.array_equal(weights[name], value):
      raise UserError(
        f"{path} and another array are both {name!r} for {table.name} and differ; "
        "export the streams one at a time"
      )
    weights[name] = value
  return table.pack(weights)


def _to_ours(value: np.ndarray, path: str) -> np.ndarray:
  """Returns a PyTorch tensor in our layout, for the array of this path; see `_axes`."""
  return value.transpose(_axes(value.ndim, path))


def _cast(name: str, value: np.ndarray, dtype: np.dtype) -> np.ndarray:
  """Casts floats to a variable's dtype; refuses integers and complex numbers."""
  if value.dtype not in FLOATS:
    raise UserError(
      f"tensor {name} holds {value.dtype} where the network needs floats; convert quantised "
      "weights back to float32 first"
    )
  with np.errstate(over="ignore"):
    cast = value.astype(dtype)
  if not np.isfinite(cast).all():
    raise UserError(f"tensor {name} holds numbers that are not finite as {np.dtype(dtype)}")
  return cast


def _to_torch(value: np.ndarray, path: str) -> np.ndarray:
  return np.ascontiguousarray(value.transpose(np.argsort(_axes(value.ndim, path))))


def _axes(ndim: int, path: str) -> tuple[int, ...]:
  """Returns PyTorch's axes in our order: [out, in, ...] becomes [..., in, out].

  Tokens and position embeddings [1, t, c], which are no kernels, stay as they are.
  """
  if ndim == 3 and not path.endswith("/kernel"):
    return (0, 1, 2)
  return (2, 3, 1, 0) if ndim == 4 else tuple(reversed(range(ndim)))


def _torch_shape(leaf: jax.Array, path: str) -> tuple[int, ...]:
  return _to_torch(np.broadcast_to(np.zeros((), np.uint8), leaf.shape), path).shape


def _explain(table: NameTable, missing: list, extra: list) -> str:
  lines = [("-", *item) for item in missing] + [("+", *item) for item in extra]
  lines.sort(key=lambda line: (line[1], line[0]))
  listed = [f"  {sign} {shown(name)} {shape}" for sign, name, shape in lines[:MOST_SHOWN]]
  if len(lines) > MOST_SHOWN:
    listed.append(f"  ... and {len(lines) - MOST_SHOWN} more")
  return (
    f"the weights do not fit this network (names of {table.name}; -: only the network has it, "
    "+: only the file has it). Choose the depth, width and classes of the weights, or another "
    "file:\n" + "\n".join(listed or ["  nothing in common"])
  )
