"""The flag --config FILE.py[:VARIANT] with overrides --config.key=value, for absl's parser."""

import re
import sys
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from vireid_jax import config as config_lib
from vireid_jax.cli import names
from vireid_jax.common.errors import UserError
from vireid_jax.config.overrides import admit, check, explained

# Overrides of a command without a config file, for a config that is found later.
_kept: list[str] = []


def define(name: str = "config") -> flags.FlagHolder:
  """Defines the flag; its value is the config with the overrides of the command line."""
  holder = config_flags.DEFINE_config_file(name, None, "Config file or name[:VARIANT,...].")
  flags.FLAGS[name].parser = _Reader()
  return holder


def given(name: str = "config") -> str | None:
  """Returns 'FILE.py[:VARIANT]' as it was given; None without the flag."""
  if flags.FLAGS[name].value is None:
    return None
  return config_flags.get_config_filename(flags.FLAGS[name])


def kept() -> list[str]:
  """Returns the overrides `--config.key=value` of a command line that names no config file."""
  return list(_kept)


def parse(argv: list[str]) -> list[str]:
  """Parses a command line into absl's flags; returns the arguments that are no options.

  Raises:
    UserError: an unknown option or key, or a value of the wrong type.
  """
  argv, _kept[:] = _part(argv)
  files = [text for text in argv[1:] if re.match(r"--?config(=|$)", text)]
  if len(files) > 1:
    raise UserError(
      f"--config is given {len(files)} times; give one file, and variants behind a colon"
    )
  with explained(flags.FLAGS):
    return flags.FLAGS(argv)


def _part(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """Parts overrides from the other arguments, where no `--config FILE` is among them."""
  if any(re.match(r"--?config(=|$)", text) for text in argv[1:]):
    return list(argv), []
  return names.part_overrides(argv)


class _Reader(flags.ArgumentParser):
  """Reads the file as every other command does, and knows its keys before overrides are parsed."""

  def parse(self, path: str) -> ConfigDict:
    config = admit(config_lib.load(path), sys.argv)
    check(config, sys.argv)
    return config.lock()
