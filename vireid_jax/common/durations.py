"""Lengths of time in a config: '10 epochs', '2000 steps' or '500000 examples'."""

import dataclasses
import re
from typing import Any

from vireid_jax.common.errors import UserError, shown
from vireid_jax.common.options import Rule

UNITS = ("steps", "epochs", "examples")
MOST_STEPS = 2**31 - 1  # steps are counted in int32
MOST = {"step": MOST_STEPS, "epoch": 1e9, "example": 1e12}
LONGEST = 100  # characters


@dataclasses.dataclass(frozen=True)
class Clock:
  """Converts epochs and examples to steps.

  Attributes:
    steps_per_epoch: Training steps in an epoch.
    batch_images: Images in a batch, both modalities together; None to refuse examples.
  """

  steps_per_epoch: int
  batch_images: int | None

  def steps(self, text: str, *, key: str) -> int:
    """Converts a duration to steps.

    Args:
      text: A number and a unit of `UNITS`, the plural s optional; '' or '0' is 0.
      key: Config key, for the error.

    Returns:
      The nearest whole number of steps; at least 1 for a duration above 0, since '' means never.

    Raises:
      UserError: The text is not a duration, or is longer than `MOST_STEPS`.
    """
    number, name = _parse(text, key)
    if name == "example" and self.batch_images is None:
      raise UserError(f"{_wrong(text, key)}; allowed here: steps or epochs, such as '10 epochs'")
    factor = {"step": 1, "epoch": self.steps_per_epoch, "example": 1 / (self.batch_images or 1)}[
      name
    ]
    steps = number * factor
    if steps > MOST_STEPS:
      raise UserError(f"{_wrong(text, key)}: it is more than {MOST_STEPS:,} steps; shorten it")
    return max(round(steps), 1) if steps else 0


@dataclasses.dataclass(frozen=True)
class Duration(Rule):
  """A duration; '' means never."""

  allowed = "a number and one of " + ", ".join(UNITS) + ", for example '10 epochs', or '' for never"

  def accepts(self, value: Any) -> bool:
    """See `options.Rule`."""
    try:
      _parse(value, "")
    except UserError:
      return False
    return True

  def problem(self, key: str, value: Any) -> str:
    """See `options.Rule`."""
    return f"{_wrong(value, key)}; allowed: {self.allowed}"


def unit(text: str) -> str:
  """Returns 'step', 'epoch' or 'example'; raises UserError for an invalid duration."""
  return _parse(text, "duration")[1]


def _parse(text: Any, key: str) -> tuple[float, str]:
  if isinstance(text, str) and text in ("", "0"):
    return 0.0, "step"
  form = r"\s*([0-9]+(?:\.[0-9]*)?)\s*(step|epoch|example)s?\s*"
  match = re.fullmatch(form, text) if isinstance(text, str) and len(text) < LONGEST else None
  if not match or float(match[1]) > MOST[match[2]]:
    raise UserError(f"{_wrong(text, key)}; allowed: {Duration.allowed}")
  return float(match[1]), match[2]


def _wrong(text: Any, key: str) -> str:
  return f"config.{key.removeprefix('config.')} = {shown(text)} is not a valid duration"
