"""Reads config files, for all commands."""

import contextlib
import pathlib
import re
import sys
import types
from collections.abc import Iterator, Sequence

from ml_collections import ConfigDict, FrozenConfigDict

from vireid_jax.common import paths
from vireid_jax.common.errors import UserError, origin, printable, shown
from vireid_jax.config import places
from vireid_jax.config.datasets import DATASETS
from vireid_jax.config.overrides import override

RUNS = pathlib.Path("runs")
_MODULE = "_vireid_jax_config_file"
_MOST_LETTERS = 300


def load(path: str, overrides: Sequence[str] = ()) -> ConfigDict:
  """Returns the config of 'FILE.py[:VARIANT,...]' or 'NAME[:VARIANT,...]'.

  Args:
    path: File or name, with variants.
    overrides: Overrides such as '--config.optim.lr=0.1', in order.

  Raises:
    UserError: The file, a variant or a key does not exist, a value has the wrong type, or the file
      has an error; names its line.
  """
  config = _load(path)
  return override(config, overrides)


def _load(path: str) -> ConfigDict:
  paths.refuse_bucket(path, "--config=")
  given, colon, variant = path.partition(":")
  found = places.find(given)
  file, source = str(found), _read(found)
  module = types.ModuleType(_MODULE)
  module.__file__ = file
  sys.modules[_MODULE] = module  # dataclasses and pickle look up the file's definitions there
  with _user_errors_in(file):
    # Not imported: Python's bytecode cache misses a change within a second that keeps the size.
    exec(compile(source, file, "exec"), vars(module))
  if not callable(getattr(module, "get_config", None)):
    raise UserError(
      f"--config: {printable(file)} defines no function get_config; it must return the config, as "
      "in configs/agw_synthetic.py"
    )
  with _user_errors_in(file):
    config = module.get_config(variant) if colon else module.get_config()
  if not isinstance(config, ConfigDict):
    raise UserError(
      f"--config: get_config of {printable(file)} returned {shown(config)}; it must return the "
      "ConfigDict that vireid_jax.config.default_config makes"
    )
  return config.as_configdict() if isinstance(config, FrozenConfigDict) else config


def on_dataset(name: str, dataset: str) -> ConfigDict:
  """Returns a config of this package with the splits and protocol of another data set.

  Args:
    name: Name of the config, such as 'mun_sysu'.
    dataset: Key of `config.DATASETS`, such as 'regdb'.
  """
  config = load(str(places.installed() / f"{name}.py"))
  config.train.steps_per_epoch = 0  # the epoch's length is that of the other data set
  DATASETS[dataset](config)
  return config


def workdir(path: str, suffix: str = "") -> pathlib.Path:
  """Returns a config's default workdir, such as runs/mun_sysu or runs/mun_sysu-base-smoke.

  Args:
    path: 'FILE.py' or 'FILE.py:VARIANT[,VARIANT]'.
    suffix: Suffix of the name, for commands whose workdir is not a single run.
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
      f"--config: {shown(str(path))} cannot be read ({reason}); give read access, or choose "
      "another file"
    ) from None


@contextlib.contextmanager
def _user_errors_in(file: str) -> Iterator[None]:
  """Turns an error in a config file into a UserError that names its line."""
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
  # str(KeyError) would quote the message and escape its newlines.
  text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
  return printable(" ".join(text.split()))[:_MOST_LETTERS]
