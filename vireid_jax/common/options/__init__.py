"""Which values options allow, declared with each option, and one form of error for all.

An option is a field of a dataclass or a keyword argument of a function. Its default value gives its
type; an annotation narrows it:

  depth: Annotated[int, OneOf(18, 34, 50)] = 50
  margin: Annotated[float, Number(0)] = 0.3

A default that is itself such a dataclass makes a section of options:

  metric: Metric = Metric("wrt", weight=1.0)
"""

from vireid_jax.common.options.declarations import (
  MISSING,
  Option,
  Section,
  arguments,
  check,
  declared,
  default,
  inferred,
)
from vireid_jax.common.options.rules import (
  LARGEST_FLOAT,
  LARGEST_INT,
  LARGEST_SEED,
  LONGEST_TEXT,
  Count,
  Flag,
  Number,
  OneOf,
  Path,
  Rule,
  Several,
  Share,
  Table,
  Text,
  Weight,
  Whole,
)

__all__ = [
  "LARGEST_FLOAT",
  "LARGEST_INT",
  "LARGEST_SEED",
  "LONGEST_TEXT",
  "MISSING",
  "Count",
  "Flag",
  "Number",
  "OneOf",
  "Option",
  "Path",
  "Rule",
  "Section",
  "Several",
  "Share",
  "Table",
  "Text",
  "Weight",
  "Whole",
  "arguments",
  "check",
  "declared",
  "default",
  "inferred",
]
