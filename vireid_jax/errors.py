"""Errors meant for the person at the keyboard: what was wrong, and what to do next."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
  """Bad input or set-up. Command-line entry points print the message without a traceback."""


def nearest(name: str, options: Iterable[str], *, most: int = 3) -> str:
  """Says which of the allowed names come closest to a wrong one.

  Args:
    name: what was given.
    options: the allowed names.
    most: how many to suggest.

  Returns:
    "did you mean 'a' or 'b'?", or "allowed: a, b, c" when nothing comes close.
  """
  options = sorted(options)
  close = difflib.get_close_matches(name, options, n=most, cutoff=0.5)
  if close:
    return "did you mean " + " or ".join(repr(option) for option in close) + "?"
  return "allowed: " + (", ".join(options) if options else "(none)")
