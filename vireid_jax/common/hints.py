"""Command lines that messages tell the user to run next."""

import shlex


def command(name: str, *words: object) -> str:
  """Returns a command line as a shell reads it.

  Args:
    name: of a command of `vireid`.
    *words: its options and their values; paths are quoted where they need it.

  Returns:
    Such as 'vireid prepare regdb --manual_dir DIR'.
  """
  return shlex.join(("vireid", name, *map(str, words)))
