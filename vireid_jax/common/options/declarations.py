"""Options as a dataclass or a function declares them: their rules, defaults and checks."""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from vireid_jax.common.errors import UserError, nearest, shown
from vireid_jax.common.options.rules import Flag, Number, Rule, Several, Text, Whole

MISSING = dataclasses.MISSING


@dataclasses.dataclass(frozen=True)
class Section(Rule):
  """A section of options: an instance of `owner`, a dataclass, or a mapping of what to change."""

  owner: type

  @property
  def allowed(self) -> str:
    """The allowed values, in words."""
    return f"a section of {', '.join(declared(self.owner))}"

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    return isinstance(value, Mapping | self.owner)


@dataclasses.dataclass(frozen=True)
class Option:
  """An option: its rule, and its default if it has one."""

  rule: Rule
  default: Any = MISSING

  def check(self, key: str, value: Any) -> None:
    """Raises UserError if a value is not allowed.

    Args:
      key: Name of the option as the user writes it.
      value: Value of any type.
    """
    if self.rule.accepts(value):
      return
    example = ""
    is_section = dataclasses.is_dataclass(self.default)
    if self.default is not MISSING and not is_section and self.rule.accepts(self.default):
      example = f" (default {shown(self.default)})"
    raise UserError(f"{self.rule.problem(key, value)}{example}")


def inferred(default: Any) -> Rule:
  """Returns the rule that a default value implies: its type."""
  if dataclasses.is_dataclass(default):
    return Section(type(default))
  kinds = ((bool, Flag()), (int, Whole()), (float, Number()), (str, Text()))
  for kind, rule in kinds:
    if isinstance(default, kind):
      return rule
  if isinstance(default, tuple | list):
    return Several(inferred(default[0]) if default else Rule(), allow_single=bool(default))
  return Rule()


@functools.cache
def declared(owner: type | Callable) -> dict[str, Option]:
  """Returns the options of a dataclass, or of a function's keyword arguments, by name."""
  try:
    hints = typing.get_type_hints(owner, include_extras=True)
  except Exception:  # names that exist for type checkers only
    hints = {}
  found = {}
  for name, default in _defaults(owner).items():
    rules = [
      each for each in getattr(hints.get(name), "__metadata__", ()) if isinstance(each, Rule)
    ]
    found[name] = Option(rules[0] if rules else inferred(default), default)
  return found


def check(values: Any) -> None:
  """Raises UserError if a field of a dataclass is not allowed; called in its `__post_init__`."""
  for name, option in declared(type(values)).items():
    option.check(name, getattr(values, name))


def arguments(owner: type | Callable, given: Mapping[str, Any], prefix: str) -> dict[str, Any]:
  """Checks arguments and returns them; whole numbers become floats where the default is a float.

  Args:
    owner: Dataclass or function that takes the arguments.
    given: Some of its arguments, by name. A section is a mapping of its options that differ from
      the defaults.
    prefix: Prefix of the names in the message.

  Raises:
    UserError: A value is not allowed, or a section has no such option.
  """
  options, found = declared(owner), {}
  for name, value in given.items():
    options[name].check(f"{prefix}{name}", value)
    if isinstance(options[name].rule, Section) and isinstance(value, Mapping):
      value = _section(options[name].default, value, f"{prefix}{name}.")
    as_float = type(value) is int and isinstance(options[name].default, float)
    found[name] = float(value) if as_float else value
  return found


def _section(default: Any, given: Mapping[str, Any], prefix: str) -> Any:
  """Returns a section's default value with some options replaced."""
  known = declared(type(default))
  for name in given:
    if name not in known:
      raise UserError(f"{prefix}{shown(name)[1:-1]}: no such option; {nearest(name, known)}")
  return dataclasses.replace(default, **arguments(type(default), given, prefix))


def _defaults(owner: type | Callable) -> dict[str, Any]:
  if dataclasses.is_dataclass(owner):
    return {field.name: default(field) for field in dataclasses.fields(owner)}
  parameters = inspect.signature(owner).parameters.values()
  keywords = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
  return {each.name: MISSING if each.default is each.empty else each.default for each in keywords}


def default(field: dataclasses.Field) -> Any:
  """Returns the default value of a dataclass field, or MISSING."""
  if field.default_factory is not MISSING:
    return field.default_factory()
  return field.default
