"""Command lines that messages suggest."""

import shlex


def command(name: str, *words: object) -> str:
  """Returns a command line of `vireid`, quoted for the shell.

  Args:
    name: Name of the command.
    *words: Options and their values.

  Returns:
    For example 'vireid prepare regdb --manual_dir DIR'.
  """
  return shlex.join(("vireid", name, *map(str, words)))
