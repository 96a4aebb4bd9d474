"""Finds the state dict in a saved object, and removes wrapper prefixes from its names."""

from typing import Any, TypeVar

from vireid_jax.common.errors import UserError
from vireid_jax.models.weights.tensors import shown

# Keys of the state dict in files with other entries. The first that has tensors is used.
WRAPPERS = (
  "state_dict",
  "model_state_dict",
  "model_state",
  "net_state_dict",
  "model",
  "net",
  "network",
  "module",
  "backbone",
  "weights",
  "params",
  "student",
)
# Prefixes added to all names by data-parallel, compiled and other wrapping modules.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
MOST_PREFIXES = 5
MOST_SHOWN = 8

Tensor = TypeVar("Tensor")


def find(saved: Any, kind: type[Tensor]) -> dict[str, Tensor]:
  """Finds the network's tensors in a saved object.

  Args:
    saved: Nested dicts with text keys and tensors.
    kind: Type of a tensor.

  Returns:
    Tensors by PyTorch name, without the prefix of a wrapping module.

  Raises:
    UserError: There are no tensors, or those of several networks; lists the names.
  """
  found = _find(saved, kind, set())
  if not found:
    keys = f"; it has {_listed(saved)}" if isinstance(saved, dict) and saved else ""
    raise UserError(f"it holds no tensors; expected a state dict: {{name: tensor}}{keys}")
  return without_prefixes(found)


def without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
  """Removes the common prefixes of wrapping modules from all names."""
  for _ in range(MOST_PREFIXES):
    prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), "")
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
  return tensors


def _find(saved: Any, kind: type[Tensor], seen: set[int]) -> dict[str, Tensor]:
  """Searches known wrappers first, then the dict itself, then for one child with tensors.

  A dict may occur several times, or inside itself; it is searched once.
  """
  if not isinstance(saved, dict) or id(saved) in seen:
    return {}
  seen.add(id(saved))
  if all(isinstance(saved.get(name), dict) for name in ("student", "teacher")):
    raise UserError(
      "it holds two networks, 'student' and 'teacher'; save only the one to use, "
      "torch.save(model.state_dict(), path)"
    )
  for name in WRAPPERS:
    if found := _find(saved.get(name), kind, seen):
      return found
  return _tensors(saved, kind) or _in_one_child(saved, kind, seen)


def _in_one_child(saved: dict, kind: type[Tensor], seen: set[int]) -> dict[str, Tensor]:
  inside = {}
  for name, child in saved.items():
    if id(child) not in seen and (found := _tensors(child, kind)):
      inside[name] = found
    seen.add(id(child))
  if len(inside) > 1:
    raise UserError(
      f"it holds several sets of tensors, under {_listed(inside)}; save only the network's, "
      "torch.save(model.state_dict(), path)"
    )
  return next(iter(inside.values()), {})


def _tensors(saved: Any, kind: type[Tensor]) -> dict[str, Tensor]:
  if not isinstance(saved, dict):
    return {}
  return {name: value for name, value in saved.items() if isinstance(value, kind)}


def _listed(names) -> str:
  listed = ", ".join(repr(shown(name)) for name in list(names)[:MOST_SHOWN])
  return listed + (", ..." if len(names) > MOST_SHOWN else "")
