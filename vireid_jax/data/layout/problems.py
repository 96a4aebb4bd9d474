"""Reports everything that is wrong with the user's files at once, up to a limit."""

from collections.abc import Sequence

from vireid_jax.common.errors import UserError, printable

MOST_NAMED = 20
MOST_LETTERS = 120  # of a name quoted in a message


def refuse(problems: Sequence[str], head: str, advice: str = "") -> None:
  """Raises UserError with the problems, if there are any.

  Args:
    problems: What is wrong, each with its place; printable text.
    head: Start of the message. A single problem follows on the same line.
    advice: End of the message: the next step.
  """
  if not problems:
    return
  if len(problems) == 1:
    raise UserError(f"{head}: {problems[0]}" + (f". {advice}" if advice else ""))
  lines = "".join(f"\n  {problem}" for problem in problems[:MOST_NAMED])
  more = len(problems) - MOST_NAMED
  lines += f"\n  and {more} more" if more > 0 else ""
  raise UserError(f"{head}: {len(problems)} problems{lines}" + (f"\n{advice}" if advice else ""))


def shown(text: str) -> str:
  """Returns a name for a message, escaped, and shortened if it is very long."""
  text = printable(text)
  return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}... ({len(text)} letters)"


def quoted(text: str) -> str:
  """Returns a name for a message in quotes; see `shown`."""
  return f"'{shown(text)}'"


def enumeration(values: Sequence, most: int = 20) -> str:
  """Returns the first `most` values joined by commas, and how many more there are."""
  more = len(values) - most
  return ", ".join(shown(str(value)) for value in values[:most]) + (
    f" and {more} more" if more > 0 else ""
  )
