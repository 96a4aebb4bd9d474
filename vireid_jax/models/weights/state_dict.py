"""The state dict within what authors save around it, and its names without wrappers."""

from typing import Any, TypeVar

from vireid_jax.common.errors import UserError
from vireid_jax.models.weights.tensors import shown

# Under which authors keep the state dict beside their scores. The first that holds tensors counts.
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
# Put before every name by data-parallel and compiled modules, and by modules that hold the network.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
MOST_PREFIXES = 5
MOST_SHOWN = 8

Tensor = TypeVar("Tensor")


def find(saved: Any, kind: type[Tensor]) -> dict[str, Tensor]:
  """Finds the tensors of the network in what a file holds.

  Args:
    saved: dicts by text, with tensors somewhere inside.
    kind: of a tensor.

  Returns:
    Tensors by PyTorch's name, without the prefix of a module around the network.

  Raises:
    UserError: there are none, or those of several networks, and which names there are.
  """
  found = _find(saved, kind, set())
  if not found:
    keys = f"; it has {_listed(saved)}" if isinstance(saved, dict) and saved else ""
    raise UserError(f"it holds no tensors; expected a state dict: {{name: tensor}}{keys}")
  return without_prefixes(found)


def without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
  """Takes off what every name begins with because of a module around the network."""
  for _ in range(MOST_PREFIXES):
    prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), "")
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
  return tensors


def _find(saved: Any, kind: type[Tensor], seen: set[int]) -> dict[str, Tensor]:
  """Looks into wrappers first, then at the dict itself, then for one child that has tensors.

  A file may hold one dict at many places, or within itself: it is looked at once.
  """
  if not isinstance(saved, dict) or id(saved) in seen:
    return {}
  seen.add(id(saved))
  if all(isinstance(saved.get(name), dict) for name in ("student", "teacher")):
    raise UserError(
      "it holds two networks, 'student' and 'teacher'; save the one to be used alone, "
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
      f"it holds several sets of tensors, under {_listed(inside)}; save the network's own alone, "
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
