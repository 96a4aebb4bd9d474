"""Methods by name: one file or folder per paper."""

import dataclasses
import importlib
import pkgutil
import types
from collections.abc import Mapping
from typing import Any

from vireid_jax.common import options
from vireid_jax.common.errors import UserError, choose, origin, printable, shown
from vireid_jax.methods.base import LossOutput, Method
from vireid_jax.models.numerics import Numerics

__all__ = ["LossOutput", "Method", "create", "defaults", "find", "names"]

# Set by the trainer, never by a config.
GIVEN = ("num_classes", "steps_per_epoch", "numerics")
NOT_METHODS = ("base", "common")


def names() -> list[str]:
  """Returns the names of all methods, sorted."""
  modules = (module.name for module in pkgutil.iter_modules(__path__))
  return sorted(name for name in modules if name not in NOT_METHODS)


def create(
  config: Mapping[str, Any],
  *,
  num_classes: int,
  steps_per_epoch: int,
  numerics: Numerics = Numerics(),
) -> Method:
  """Builds the method that a config names.

  Args:
    config: 'name' and the constructor's keyword arguments. Sections are mappings; absent options
      keep their defaults.
    num_classes: Number of training identities.
    steps_per_epoch: Number of training steps in an epoch.
    numerics: Dtype, convolution lowering and batch-norm statistics of the network.

  Returns:
    The method.

  Raises:
    UserError: The method or an option is unknown, with the nearest names, or a value is not
      allowed.
  """
  arguments = {key: value for key, value in _plain(config).items() if key != "name"}
  method = find(config["name"])
  allowed = _options(method)
  for key in arguments:
    choose(key, allowed, said=f"method {shown(config['name'])} has no option {shown(key)}")
  arguments = options.arguments(method, arguments, "config.method.")
  return method(
    num_classes=num_classes, steps_per_epoch=steps_per_epoch, numerics=numerics, **arguments
  )


def defaults(name: str) -> dict[str, Any]:
  """Returns all options of a method with their defaults; a section is a dictionary."""
  found = {key: options.default(field) for key, field in _options(find(name)).items()}
  missing = [key for key, value in found.items() if value is options.MISSING]
  if missing:
    raise UserError(f"method {name!r}: its option {missing[0]!r} has no default; give it one there")
  return {
    key: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
    for key, value in found.items()
  }


def _plain(config: Any) -> Any:
  """Returns a config of any mapping type as nested dictionaries."""
  return {k: _plain(v) for k, v in config.items()} if hasattr(config, "items") else config


def _options(method: type) -> dict[str, dataclasses.Field]:
  return {field.name: field for field in dataclasses.fields(method) if field.name not in GIVEN}


def variants(name: str) -> Mapping[str, Mapping[str, Any]]:
  """Returns the rows of a method's ablation, its module's `VARIANTS`: name -> changed options."""
  return getattr(_module(name), "VARIANTS", {})


def smallest(name: str) -> Mapping[str, Any]:
  """Returns the options of a method's smallest network, its module's `SMOKE`, for quick runs."""
  return getattr(_module(name), "SMOKE", {"depth": 18, "width": 8})


def find(name: str) -> type:
  """Returns the dataclass of a method of this package, or of a module given by its dotted name.

  Raises:
    UserError: The module does not exist, cannot be imported, or lacks the class.
  """
  module = _module(name)
  wanted = module.__name__.rpartition(".")[2].replace("_", "")
  for key, value in vars(module).items():
    if isinstance(value, type) and key.lower() == wanted and dataclasses.is_dataclass(value):
      _check_given(value, module.__name__)
      return value
  raise UserError(f"{module.__name__} defines no dataclass named {wanted!r} (in any case)")


def _check_given(method: type, module: str) -> None:
  """Raises UserError for a method without the fields that the trainer gives."""
  fields = {field.name for field in dataclasses.fields(method)}
  missing = [name for name in GIVEN if name not in fields]
  if missing:
    raise UserError(
      f"{module}: the dataclass {method.__name__} has no field {' and no field '.join(missing)}; "
      f"every method has {', '.join(GIVEN)} (docs/adding_a_method.md)"
    )


def _module(name: str) -> types.ModuleType:
  parts = name.split(".") if isinstance(name, str) else []
  plugged_in = len(parts) > 1 and all(part.isidentifier() for part in parts)
  module_name = name if plugged_in else f"{__name__}.{choose(name, names(), 'method')}"
  try:
    return importlib.import_module(module_name)
  except UserError:
    raise
  except Exception as error:
    absent = isinstance(error, ModuleNotFoundError) and (
      error.name == module_name or module_name.startswith(f"{error.name}.")
    )
    advice = "correct it there"
    if absent:
      advice = (
        "add its folder to PYTHONPATH, for example PYTHONPATH=. for the current one, "
        f"or choose a method of this package: {', '.join(names())}"
      )
    file, number, _ = origin(error)
    place = "" if absent or not number else f" ({printable(file)}, line {number})"
    raise UserError(
      f"method {name!r}: its module cannot be imported{place}: {type(error).__name__}: "
      f"{printable(' '.join(str(error).split()))}; {advice}"
    ) from error


def needs_masks(config: Mapping[str, Any]) -> bool:
  """Returns whether the method reads the data set's pedestrian masks."""
  return _asks(config, "needs_masks")


def needs_second_view(config: Mapping[str, Any]) -> bool:
  """Returns whether the method trains on two views of each visible image."""
  return _asks(config, "needs_second_view")


def _asks(config: Mapping[str, Any], member: str) -> bool:
  return getattr(create(config, num_classes=2, steps_per_epoch=1), member, False)
