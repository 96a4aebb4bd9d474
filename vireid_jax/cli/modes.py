"""What the modes of the main command do besides training."""

import sys
from collections.abc import Callable

from vireid_jax import config as config_lib
from vireid_jax.cli import config_flag
from vireid_jax.cli.run_flags import STEP, prepare_devices, read_config, require, workdir
from vireid_jax.common import files, interrupts
from vireid_jax.common.errors import printable


def until_stopped(train: Callable[[], None]) -> int:
  """Trains; returns the exit code, and says what continues a run that a signal stopped."""
  from vireid_jax.experiment.train import Preempted

  try:
    train()
  except Preempted as event:
    print(f"{event}. The same command continues.", file=sys.stderr)
    return interrupts.EXIT_STOPPED
  return 0


def print_config() -> int:
  """Prints the config with the overrides of the command line, checked; returns the exit code."""
  from vireid_jax.config import checks

  config = read_config()
  checks.validate(config)
  print(config_lib.to_text(config), end="")
  return 0


def evaluate_checkpoint() -> int:
  """Evaluates with the checkpoint's own config, unless a file is named; returns the exit code."""
  config = read_config() if config_flag.given() else None
  folder = workdir() if config else files.folder_named(require("workdir"), "--workdir")
  prepare_devices()
  from vireid_jax.experiment import evaluate

  evaluate.evaluate(config, folder, step=STEP.value, overrides=config_flag.kept())
  return 0


def print_report(items: list[str]) -> None:
  """Prints the tables of some runs; see `report.render`."""
  from vireid_jax import report

  print(report.render(items, step=STEP.value))


def write_page(items: list[str], file: str) -> None:
  """Writes the page of some runs and says where; `file` is 'true' where none was named."""
  from vireid_jax.report import page

  page.needs.check()  # before JAX and a compilation are waited for
  prepare_devices()
  path = page.write(items, "" if file == "true" else file, step=STEP.value)
  print(f"{printable(str(path))} ({path.stat().st_size / 1e6:.1f} MB)")
