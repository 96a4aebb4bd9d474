"""The absl flag --config FILE.py[:VARIANT] with overrides --config.key=value."""

import re
import sys
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from vireid_jax import config as config_lib
from vireid_jax.cli import names
from vireid_jax.common.errors import UserError
from vireid_jax.config.overrides import admit, check, user_errors_for_flags

# Overrides of a command without a config file, to be applied to a checkpoint's config.
_deferred: list[str] = []


def define(name: str = "config") -> flags.FlagHolder:
  """Defines the flag; its value is the config with the command line's overrides."""
  holder = config_flags.DEFINE_config_file(name, None, "Config file or name[:VARIANT,...].")
  flags.FLAGS[name].parser = _Reader()
  return holder


def given(name: str = "config") -> str | None:
  """Returns 'FILE.py[:VARIANT]' as given; None without the flag."""
  if flags.FLAGS[name].value is None:
    return None
  return config_flags.get_config_filename(flags.FLAGS[name])


def deferred_overrides() -> list[str]:
  """Returns the overrides `--config.key=value` of a command line without a config file."""
  return list(_deferred)


def parse(argv: list[str]) -> list[str]:
  """Parses a command line into absl's flags; returns the positional arguments.

  Raises:
    UserError: Unknown option or key, or a value of the wrong type.
  """
  argv, _deferred[:] = _split(argv)
  files = [text for text in argv[1:] if re.match(r"--?config(=|$)", text)]
  if len(files) > 1:
    raise UserError(
      f"--config is given {len(files)} times; give one file, with variants after a colon"
    )
  with user_errors_for_flags(flags.FLAGS):
    return flags.FLAGS(argv)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """Separates overrides from other arguments, unless `--config FILE` is given."""
  if any(re.match(r"--?config(=|$)", text) for text in argv[1:]):
    return list(argv), []
  return names.split_overrides(argv)


class _Reader(flags.ArgumentParser):
  """Reads the config file, and checks the keys of overrides before they are parsed."""

  def parse(self, path: str) -> ConfigDict:
    config = admit(config_lib.load(path), sys.argv)
    check(config, sys.argv)
    return config.lock()
