"""Rules: which values an option allows, and what is said of others."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any

from vireid_jax.common.errors import nearest, shown

LARGEST_INT = 2**31 - 1
LARGEST_SEED = 2**32 - 1  # larger ones would be cut to 32 bits, and two seeds give one run
LARGEST_FLOAT = 1e30  # its square still fits in float64
LONGEST_TEXT = 1000


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


# Common kinds of options.
Share = Annotated[float, Number(0, 1)]
Weight = Annotated[float, Number(0, 1e6)]
Count = Annotated[int, Whole(1, 1_000_000)]
