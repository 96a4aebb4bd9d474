"""Reads config files: the one reader of all commands."""

import contextlib
import pathlib
import re
import sys
import types
from collections.abc import Iterator, Sequence

from ml_collections import ConfigDict, FrozenConfigDict

from vireid_jax.common.errors import UserError, origin, printable, shown
from vireid_jax.config import places
from vireid_jax.config.datasets import DATASETS
from vireid_jax.config.overrides import override

RUNS = pathlib.Path("runs")
_MODULE = "_vireid_jax_config_file"
_MOST_LETTERS = 300


def load(path: str, overrides: Sequence[str] = ()) -> ConfigDict:
  """Returns the config of 'FILE.py' or 'FILE.py:VARIANT[,VARIANT]'; a name stands for a file too.

  Args:
    path: the file or name.
    overrides: such as '--config.optim.lr=0.1', in order.

  Raises:
    UserError: no such file, variant or key, a value of the wrong type, or an error in the file,
      with its line.
  """
  config = _load(path)
  return override(config, overrides)


def _load(path: str) -> ConfigDict:
  given, colon, variant = path.partition(":")
  found = places.find(given)
  file, source = str(found), _read(found)
  module = types.ModuleType(_MODULE)
  module.__file__ = file
  sys.modules[_MODULE] = module  # where dataclasses and pickle look for what the file defines
  with _explained(file):
    # Compiled here and not imported: Python's cache of compiled files takes a file that was changed
    # within a second, to one of equal size, for the old one.
    exec(compile(source, file, "exec"), vars(module))
  if not callable(getattr(module, "get_config", None)):
    raise UserError(
      f"--config: {printable(file)} defines no function get_config; it must return the config, as "
      "in configs/agw_synthetic.py"
    )
  with _explained(file):
    config = module.get_config(variant) if colon else module.get_config()
  if not isinstance(config, ConfigDict):
    raise UserError(
      f"--config: get_config of {printable(file)} returned {shown(config)}; it must return the "
      "ConfigDict that vireid_jax.config.default_config makes"
    )
  return config.as_configdict() if isinstance(config, FrozenConfigDict) else config


def on_dataset(name: str, dataset: str) -> ConfigDict:
  """Returns a config of this package with another data set: its splits and its protocol.

  Args:
    name: of a config, such as 'mun_sysu'.
    dataset: a key of `config.DATASETS`, such as 'regdb'.
  """
  config = load(str(places.installed() / f"{name}.py"))
  config.train.steps_per_epoch = 0  # the epoch's length is that of the other data set
  DATASETS[dataset](config)
  return config


def workdir(path: str, suffix: str = "") -> pathlib.Path:
  """Returns where a config's run goes without --workdir: runs/mun_sysu or runs/mun_sysu-base-smoke.

  Args:
    path: 'FILE.py' or 'FILE.py:VARIANT[,VARIANT]'.
    suffix: of the name, for commands that keep other things in their workdir than a run.
  """
  file, _, variant = path.partition(":")
  words = (pathlib.Path(file).stem, *filter(None, variant.split(",")))
  return RUNS / (re.sub(r"[^\w.=-]+", "_", "-".join(words)) + suffix)


def _read(path: pathlib.Path) -> bytes:
  try:
    return path.read_bytes()
  except OSError as error:
    reason = error.strerror or str(error)
    raise UserError(
      f"--config: {shown(str(path))} cannot be read ({reason}); allow it, or name another file"
    ) from None


@contextlib.contextmanager
def _explained(file: str) -> Iterator[None]:
  """Turns what a config file raises into a UserError that names its line."""
  try:
    yield
  except UserError:
    raise
  except (Exception, SystemExit) as error:
    _, number, text = origin(error, file)
    place = f", line {number}" if number else ""
    line = f"\n    {printable(text)[:_MOST_LETTERS]}" if text else ""
    raise UserError(
      f"--config: {printable(file)}{place}: {type(error).__name__}: {_message(error)}{line}\n"
      "The error is in this file; correct it there"
    ) from error


def _message(error: BaseException) -> str:
  # KeyError would quote a message of several words, and escape its line ends.
  text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
  return printable(" ".join(text.split()))[:_MOST_LETTERS]
