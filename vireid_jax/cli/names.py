"""How commands and options are spelled: hyphens and underscores mean the same."""

import re
from collections.abc import Iterable

from vireid_jax.common.version import __version__

VERSION = f"vireid_jax {__version__}"
_MODULE = re.compile(r"^python -m vireid_jax\.\w+")
# What `vireid COMMAND` calls the command that it starts; empty for `python -m vireid_jax.DOOR`.
_called = ""
_fixed: list[str] = []


def call(command: str, fixed: Iterable[str] = ()) -> None:
  """Has help and errors name the command `vireid <command>` from here on.

  Args:
    command: its name.
    fixed: the options of its module that it gives itself.
  """
  global _called
  _called, _fixed[:] = f"vireid {command}", fixed


def is_fixed(option: str) -> bool:
  """Whether the command gives an option itself, so that the user cannot."""
  return option in _fixed


def program(text: str) -> str:
  """Returns 'python -m vireid_jax.DOOR ...' as the user started it."""
  return _MODULE.sub(_called, text) if _called else text


def underscored(word: str) -> str:
  """Returns '--batch-size=a-b' as '--batch_size=a-b'; another word than an option as it is."""
  if not word.startswith("--"):
    return word
  name, equals, value = word.partition("=")
  return f"--{name[2:].replace('-', '_')}{equals}{value}"


def spelled(word: str, options: Iterable[str]) -> str:
  """Returns an option, or its beginning, spelled as one of `options`; others as they are."""
  name, equals, value = word.partition("=")
  if not name.startswith("--") or name == "--":
    return word
  begin = underscored(name)
  fitting = [option for option in options if underscored(option).startswith(begin)]
  return f"{min(fitting, key=len)[: len(name)]}{equals}{value}" if fitting else word
