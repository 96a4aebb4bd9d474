"""What could not be shown, and why."""

from collections.abc import Callable
from typing import TypeVar

from vireid_jax.common.errors import UserError, printable

T = TypeVar("T")


class Notes(list[str]):
  """Sentences for the end of the page."""

  def attempt(self, what: str, draw: Callable[[], T], missing: T) -> T:
    """Returns the result of a function, or `missing` and a note if it raises.

    Args:
      what: What the function draws, for the note.
      draw: Function without arguments.
      missing: What the page shows instead.
    """
    try:
      return draw()
    except UserError as error:
      self.append(f"{what}: {error}")
    except Exception as error:  # a page that lacks one figure is better than no page
      self.append(f"{what}: not shown, {type(error).__name__}: {printable(str(error))[:300]}")
    return missing
