"""Which values options allow, declared with each option, and one form of error for all.

An option is a field of a dataclass or a keyword argument of a function. Its default value gives its
type; an annotation narrows it:

  depth: Annotated[int, OneOf(18, 34, 50)] = 50
  margin: Annotated[float, Number(0)] = 0.3

A default that is itself such a dataclass makes a section of options:

  metric: Metric = Metric("wrt", weight=1.0)
"""

import dataclasses
import functools
import inspect
import itertools
import pathlib
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from vireid_jax.common.errors import UserError, nearest, shown

LARGEST_INT = 2**31 - 1
LARGEST_SEED = 2**32 - 1  # larger ones would be cut to 32 bits, and two seeds give one run
LARGEST_FLOAT = 1e30  # its square still fits in float64
LONGEST_TEXT = 1000
MISSING = dataclasses.MISSING


class Rule:
  """The values that an option allows."""

  allowed = "anything"

  def accepts(self, value: Any) -> bool:
    """Returns whether a value is allowed; never raises."""
    del value
    return True

  def hint(self, value: Any) -> str:
    """Returns what is allowed instead of a value, for its error."""
    del value
    return f"allowed: {self.allowed}"

  def problem(self, key: str, value: Any) -> str:
    """Returns the error message for a value that is not allowed."""
    return f"{key} is {shown(value)}; {self.hint(value)}"


@dataclasses.dataclass(frozen=True)
class Flag(Rule):
  """True or False."""

  allowed = "True or False"

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    return isinstance(value, bool)


@dataclasses.dataclass(frozen=True)
class Whole(Rule):
  """A whole number from `low` to `high` inclusive, but not True or False."""

  low: int = -LARGEST_INT
  high: int = LARGEST_INT

  @property
  def allowed(self) -> str:
    """The allowed values, in words."""
    return f"whole numbers {self.low:,} to {self.high:,}"

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    return type(value) is int and self.low <= value <= self.high


@dataclasses.dataclass(frozen=True)
class Number(Rule):
  """A finite number from `low` to `high`; `open_low` and `open_high` exclude the bounds."""

  low: float = -LARGEST_FLOAT
  high: float = LARGEST_FLOAT
  open_low: bool = False
  open_high: bool = False

  @property
  def allowed(self) -> str:
    """The allowed values, in words."""
    low = f"more than {self.low:g}" if self.open_low else f"{self.low:g}"
    return f"{low} to {'less than ' if self.open_high else ''}{self.high:g}"

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
      return False
    if not self.low <= value <= self.high:  # also for NaN
      return False
    return not (self.open_low and value == self.low) and not (self.open_high and value == self.high)


class OneOf(Rule):
  """One of the given values, of the same type."""

  def __init__(self, *values: Any, noun: str = ""):
    """Takes the values, or one collection of them, and a noun for messages."""
    one = len(values) == 1 and not isinstance(values[0], str | int | float)
    self.values, self.noun = tuple(values[0]) if one else values, noun

  @property
  def allowed(self) -> str:
    """The allowed values, in words."""
    return ", ".join(repr(value) for value in self.values)

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    return any(type(value) is type(each) and value == each for each in self.values)

  def hint(self, value: Any) -> str:
    """See `Rule`."""
    names = [each for each in self.values if isinstance(each, str) and each]
    return nearest(value, names) if names and isinstance(value, str) else super().hint(value)

  def problem(self, key: str, value: Any) -> str:
    """See `Rule`."""
    if not isinstance(value, str):
      return super().problem(key, value)
    noun = self.noun or key.rpartition(".")[2]
    return f"{key}: unknown {noun} {shown(value)}; {self.hint(value)}"


@dataclasses.dataclass(frozen=True)
class Text(Rule):
  """One line of printable text, such as a name."""

  empty: bool = True

  @property
  def allowed(self) -> str:
    """The allowed values, in words."""
    kind = "text" if self.empty else "text that is not empty"
    return f"{kind}, in one line, of at most {LONGEST_TEXT:,} visible characters"

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    if not isinstance(value, str):
      return False
    return value.isprintable() and len(value) <= LONGEST_TEXT and bool(value or self.empty)


@dataclasses.dataclass(frozen=True)
class Path(Text):
  """A path, which may begin with ~ or the ~NAME of an existing user."""

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    if not super().accepts(value):
      return False
    try:
      pathlib.Path(value).expanduser()
    except RuntimeError:
      return False
    return True


@dataclasses.dataclass(frozen=True)
class Several(Rule):
  """A tuple or list whose values follow a rule.

  Attributes:
    each: Rule of each value.
    least, most: Range of the number of values.
    distinct: Whether the values must differ from each other.
    ascending: Whether no value may be smaller than the one before it.
    allow_single: Whether a single value may replace a tuple of one.
  """

  each: Rule = dataclasses.field(default_factory=Rule)
  least: int = 0
  most: int = 1000
  distinct: bool = False
  ascending: bool = False
  allow_single: bool = False

  @property
  def allowed(self) -> str:
    """The allowed values, in words."""
    counts = {(0, 1000): "several values", (1, 1000): "one or more values"}
    count = counts.get((self.least, self.most), f"{self.least} to {self.most} values")
    count = f"{self.least} values" if self.least == self.most else count
    more = [", all different"] if self.distinct else []
    more += [", ascending"] if self.ascending else []
    return f"a tuple of {count}{''.join(more)}, each {self.each.allowed}"

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    if self.allow_single and self.each.accepts(value):
      return True
    if not isinstance(value, tuple | list) or not self.least <= len(value) <= self.most:
      return False
    if not all(self.each.accepts(each) for each in value):
      return False
    if self.distinct and any(each in value[:index] for index, each in enumerate(value)):
      return False
    return not self.ascending or all(a <= b for a, b in itertools.pairwise(value))

  def hint(self, value: Any) -> str:
    """See `Rule`."""
    if isinstance(value, tuple | list) and self.least <= len(value) <= self.most:
      wrong = [each for each in value if not self.each.accepts(each)]
      if wrong:
        return f"{shown(wrong[0])} in it: {self.each.hint(wrong[0])}"
    return super().hint(value)


@dataclasses.dataclass(frozen=True)
class Table(Rule):
  """A dictionary with names as keys, whose values follow a rule."""

  each: Rule

  @property
  def allowed(self) -> str:
    """The allowed values, in words."""
    return f"a dictionary of names, each with a value of {self.each.allowed}"

  def accepts(self, value: Any) -> bool:
    """See `Rule`."""
    named = Text(empty=False)
    return isinstance(value, Mapping) and all(
      named.accepts(name) and self.each.accepts(each) for name, each in value.items()
    )


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


# Common kinds of options.
Share = Annotated[float, Number(0, 1)]
Weight = Annotated[float, Number(0, 1e6)]
Count = Annotated[int, Whole(1, 1_000_000)]


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
