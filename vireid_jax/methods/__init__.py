"""Methods: one file per paper, found by name."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from vireid_jax.errors import UserError, nearest
from vireid_jax.methods.base import LossOutput, Method

__all__ = ["LossOutput", "Method", "create", "defaults", "names"]

# Given by the trainer, never by a config.
GIVEN = ("num_classes", "steps_per_epoch")


def names() -> list[str]:
  """Returns the names of all methods, sorted."""
  modules = (module.name for module in pkgutil.iter_modules(__path__))
  return sorted(name for name in modules if name != "base")


def create(config: Mapping[str, Any], *, num_classes: int, steps_per_epoch: int) -> Method:
  """Builds the method that a config names.

  Args:
    config: 'name', and the constructor's keyword arguments verbatim.
    num_classes: number of training identities.
    steps_per_epoch: training steps in an epoch.

  Returns:
    The method.

  Raises:
    UserError: for an unknown method or argument, naming the nearest ones.
  """
  arguments = {key: value for key, value in config.items() if key != "name"}
  method = _find(config["name"])
  allowed = _options(method)
  for key in arguments:
    if key not in allowed:
      raise UserError(f"method {config['name']!r} has no option {key!r}; {nearest(key, allowed)}")
  return method(num_classes=num_classes, steps_per_epoch=steps_per_epoch, **arguments)


def defaults(name: str) -> dict[str, Any]:
  """Returns every option of a method with its default value."""
  return {key: field.default for key, field in _options(_find(name)).items()}


def _options(method: type) -> dict[str, dataclasses.Field]:
  return {field.name: field for field in dataclasses.fields(method) if field.name not in GIVEN}


def _find(name: str) -> type:
  """Imports `vireid_jax.methods.<name>`, or the module of that dotted name for a plug-in."""
  module_name = name if "." in name else f"{__name__}.{name}"
  try:
    module = importlib.import_module(module_name)
  except ModuleNotFoundError as error:
    if error.name != module_name and not module_name.startswith(f"{error.name}."):
      raise
    raise UserError(f"unknown method {name!r}; {nearest(name, names())}") from None
  wanted = module_name.rpartition(".")[2].replace("_", "")
  for key, value in vars(module).items():
    if isinstance(value, type) and key.lower() == wanted and dataclasses.is_dataclass(value):
      return value
  raise UserError(f"{module_name} defines no dataclass named {wanted!r} (in any case)")
