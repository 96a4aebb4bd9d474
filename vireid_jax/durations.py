"""Lengths of time in a config: '10 epochs', '2000 steps' or '500000 examples'."""

import dataclasses
import re

from vireid_jax.errors import UserError

UNITS = ("steps", "epochs", "examples")


@dataclasses.dataclass(frozen=True)
class Clock:
  """What turns epochs and examples into steps.

  Attributes:
    steps_per_epoch: training steps in an epoch.
    batch_images: images in a batch, both modalities together.
  """

  steps_per_epoch: int
  batch_images: int

  def steps(self, text: str, *, key: str) -> int:
    """Converts a duration to steps, rounded to the nearest whole one.

    Args:
      text: a number and a unit of `UNITS`, the plural s optional; '' or '0' is 0.
      key: the config key, for the error.

    Raises:
      UserError: when the text is of another form.
    """
    if text in ("", "0"):
      return 0
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*(step|epoch|example)s?\s*", text)
    if not match:
      raise UserError(
        f"config.{key} = {text!r} is no duration; write a number and one of {', '.join(UNITS)}, "
        "for example '10 epochs', or '' for never"
      )
    number, unit = float(match[1]), match[2]
    factor = {"step": 1, "epoch": self.steps_per_epoch, "example": 1 / self.batch_images}[unit]
    return round(number * factor)
