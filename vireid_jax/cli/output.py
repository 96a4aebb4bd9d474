"""The option --format of commands that print a table."""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence

from vireid_jax.common import formats


def add_format(parser: argparse.ArgumentParser, choices: Sequence[str] = formats.FORMATS) -> None:
  """Adds --format to a parser; see `common.formats`."""
  parser.add_argument("--format", choices=choices, default=formats.TABLE, help=help_text(choices))


def help_text(choices: Sequence[str] = formats.FORMATS) -> str:
  """Returns the help of --format."""
  papers = " and others" if formats.LATEX in choices else ""
  return (
    f"format of the result; default {formats.TABLE}. With csv, json{papers} nothing else is "
    "written to standard output"
  )


@contextlib.contextmanager
def reserved(form: str) -> Iterator[None]:
  """Reserves standard output for the result.

  What is printed inside the context goes to standard error, unless the result is a table for a
  person.

  Args:
    form: Value of --format.
  """
  if form == formats.TABLE:
    yield
    return
  with contextlib.redirect_stdout(sys.stderr):
    yield
