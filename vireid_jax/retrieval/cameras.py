"""Cameras of pictures, from their paths or from a table."""

import dataclasses
import pathlib
import re

from vireid_jax.common.errors import UserError, shown
from vireid_jax.retrieval.path_table import PathTable, open_table

CAMERA = "camera"


@dataclasses.dataclass(frozen=True)
class Pattern:
  """Cameras in the paths of pictures.

  Attributes:
    expression: Regular expression whose group 'camera', or first group, is the camera.
  """

  expression: re.Pattern
  fix = "the pattern must match the path, for example '_c([0-9]+)_' matches mine/0003_c6_1.png"

  def __call__(self, path: pathlib.Path) -> str | None:
    """Returns the camera of a picture: the last match in its absolute path; None if none."""
    group = CAMERA if CAMERA in self.expression.groupindex else 1
    found = [match[group] for match in self.expression.finditer(path.absolute().as_posix())]
    return next((camera for camera in reversed(found) if camera), None)

  def __str__(self) -> str:
    return shown(self.expression.pattern)


Cameras = Pattern | PathTable


def open_cameras(text: str) -> Cameras:
  """Reads the option --cameras.

  Args:
    text: Regular expression; or the path of a table, which ends in '.csv'.

  Raises:
    UserError: It is neither a valid expression with a group nor a readable table.
  """
  if text.lower().endswith(".csv"):
    return open_table(text, CAMERA, "--cameras", ", or a regular expression")
  return _compile(text)


def _compile(text: str) -> Pattern:
  try:
    expression = re.compile(text)
  except (re.error, RecursionError, OverflowError) as error:
    raise UserError(
      f"--cameras={shown(text)} is not a regular expression: {error}; give one such as "
      "'_c([0-9]+)_', or a table whose name ends in .csv"
    ) from None
  if not expression.groups:
    raise UserError(
      f"--cameras={shown(text)} has no group; put the camera in brackets, as in '_c([0-9]+)_'"
    )
  return Pattern(expression)
