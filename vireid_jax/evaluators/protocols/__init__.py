"""Evaluation protocols by name: `create("sysu_mm01", trials=1)`."""

import dataclasses
import importlib
import pkgutil

from vireid_jax.common.errors import choose


def names() -> list[str]:
  """Returns the names of all protocols: the modules of this package that define `Protocol`."""
  names = (module.name for module in pkgutil.iter_modules(__path__))
  return [name for name in names if hasattr(_module(name), "Protocol")]


def create(name: str, **kwargs):
  """Builds the protocol of a data set.

  Args:
    name: Module of this package, such as `sysu_mm01`.
    **kwargs: Fields of its `Protocol`.

  Returns:
    An object with `evaluate(features, records, metadata, *, normalize=True)`, which returns a
    `results.SettingResult` for each setting.

  Raises:
    UserError: The protocol, an argument or a value is unknown.
  """
  choose(name, names(), "evaluation protocol")
  protocol = find(name)
  fields = [field.name for field in dataclasses.fields(protocol)]
  for key in kwargs:
    choose(key, fields, said=f"protocol {name} has no argument {key!r}")
  return protocol(**kwargs)


def find(name: str) -> type:
  """Returns the dataclass of the protocol with this name."""
  return _module(name).Protocol


def _module(name):
  return importlib.import_module(f"{__name__}.{name}")
