"""Spelling of commands and options: hyphens and underscores are equivalent."""

import re
from collections.abc import Iterable

from vireid_jax.common.version import __version__

VERSION = f"vireid_jax {__version__}"
_OVERRIDE = re.compile(r"--?(no)?config\.")
_MODULE = re.compile(r"^python -m vireid_jax\.\w+")
# The program's name under `vireid COMMAND`; empty under `python -m vireid_jax.DOOR`.
_called = ""
_hidden: list[str] = []


def call(command: str, hidden: Iterable[str] = ()) -> None:
  """Makes help and errors name the program `vireid <command>`.

  Args:
    command: Name of the command.
    hidden: Options of its module that it sets itself or refuses.
  """
  global _called
  _called, _hidden[:] = f"vireid {command}", hidden


def is_hidden(option: str) -> bool:
  """Returns whether an option of the module is unavailable in the command."""
  return option in _hidden


def program(text: str) -> str:
  """Returns the program 'python -m vireid_jax.DOOR ...' under the name that the user typed."""
  return _MODULE.sub(_called, text) if _called else text


def underscored(word: str) -> str:
  """Returns '--batch-size=a-b' as '--batch_size=a-b'; other words unchanged."""
  if not word.startswith("--"):
    return word
  name, equals, value = word.partition("=")
  return f"--{name[2:].replace('-', '_')}{equals}{value}"


def split_overrides(words: Iterable[str]) -> tuple[list[str], list[str]]:
  """Returns (other words, overrides), which are `--config.key=value` or `--config.key value`."""
  others, found, waiting = [], [], False
  for word in words:
    override = _OVERRIDE.match(word)
    (found if override or (waiting and not word.startswith("-")) else others).append(word)
    waiting = bool(override) and not override[1] and "=" not in word
  return others, found


def spelled(word: str, options: Iterable[str]) -> str:
  """Returns an option or its prefix, spelled like one of `options`; other words unchanged."""
  name, equals, value = word.partition("=")
  if not name.startswith("--") or name == "--":
    return word
  begin = underscored(name)
  fitting = [option for option in options if underscored(option).startswith(begin)]
  return f"{min(fitting, key=len)[: len(name)]}{equals}{value}" if fitting else word
