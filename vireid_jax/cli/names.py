"""How commands and options are spelled: hyphens and underscores mean the same."""

import re
from collections.abc import Iterable

from vireid_jax.common.version import __version__

VERSION = f"vireid_jax {__version__}"
_OVERRIDE = re.compile(r"--?(no)?config\.")
_MODULE = re.compile(r"^python -m vireid_jax\.\w+")
# What `vireid COMMAND` calls the command that it starts; empty for `python -m vireid_jax.DOOR`.
_called = ""
_hidden: list[str] = []


def call(command: str, hidden: Iterable[str] = ()) -> None:
  """Has help and errors name the command `vireid <command>` from here on.

  Args:
    command: its name.
    hidden: the options of its module that it gives itself, or refuses.
  """
  global _called
  _called, _hidden[:] = f"vireid {command}", hidden


def is_hidden(option: str) -> bool:
  """Whether the user cannot give an option of the module to the command."""
  return option in _hidden


def program(text: str) -> str:
  """Returns 'python -m vireid_jax.DOOR ...' as the user started it."""
  return _MODULE.sub(_called, text) if _called else text


def underscored(word: str) -> str:
  """Returns '--batch-size=a-b' as '--batch_size=a-b'; another word than an option as it is."""
  if not word.startswith("--"):
    return word
  name, equals, value = word.partition("=")
  return f"--{name[2:].replace('-', '_')}{equals}{value}"


def part_overrides(words: Iterable[str]) -> tuple[list[str], list[str]]:
  """Parts overrides, `--config.key=value` or `--config.key value`, from the other words."""
  others, found, waiting = [], [], False
  for word in words:
    override = _OVERRIDE.match(word)
    (found if override or (waiting and not word.startswith("-")) else others).append(word)
    waiting = bool(override) and not override[1] and "=" not in word
  return others, found


def spelled(word: str, options: Iterable[str]) -> str:
  """Returns an option, or its beginning, spelled as one of `options`; others as they are."""
  name, equals, value = word.partition("=")
  if not name.startswith("--") or name == "--":
    return word
  begin = underscored(name)
  fitting = [option for option in options if underscored(option).startswith(begin)]
  return f"{min(fitting, key=len)[: len(name)]}{equals}{value}" if fitting else word
