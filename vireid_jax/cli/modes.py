"""The modes of the main command."""

import sys
from collections.abc import Callable

from vireid_jax import config as config_lib
from vireid_jax.cli import config_flag, output
from vireid_jax.cli.run_flags import (
  ALL,
  FORMAT,
  STEP,
  VERBOSE,
  prepare_devices,
  read_config,
  require,
  workdir,
)
from vireid_jax.common import files, formats, interrupts, progress
from vireid_jax.common.errors import printable


def until_stopped(train: Callable[[], None]) -> int:
  """Trains and returns the exit code; says how to continue if a signal stopped the run."""
  from vireid_jax.experiment.train import Preempted

  try:
    train()
  except Preempted as event:
    print(f"{event}. The same command continues.", file=sys.stderr)
    return interrupts.EXIT_STOPPED
  return 0


def print_config() -> int:
  """Checks and prints the config with its overrides; returns the exit code."""
  from vireid_jax.config import checks

  config = read_config()
  checks.validate(config)
  print(config_lib.to_text(config), end="")
  return 0


def evaluate_checkpoint() -> int:
  """Evaluates with the checkpoint's config unless one is given; returns the exit code."""
  config = read_config() if config_flag.given() else None
  folder = workdir() if config else files.folder_named(require("workdir"), "--workdir")
  prepare_devices()
  from vireid_jax.experiment import evaluate

  overrides = config_flag.deferred_overrides()
  evaluate.evaluate(config, folder, step=STEP.value, overrides=overrides, verbose=VERBOSE.value)
  return 0


def print_report(items: list[str]) -> None:
  """Prints the tables of runs; see `report.written`."""
  from vireid_jax import report

  form = FORMAT.value or formats.TABLE
  with output.reserved(form), progress.show("report"):
    text = report.written(items, form, everything=ALL.value, step=STEP.value)
  print(text)


def write_page(items: list[str], file: str) -> None:
  """Writes the page of runs and prints its path; `file` is 'true' for the default."""
  from vireid_jax.report import page

  page.needs.check()  # before slow imports and compilation
  prepare_devices()
  with progress.show("report"):
    path = page.write(items, "" if file == "true" else file, step=STEP.value)
  print(f"{printable(str(path))} ({path.stat().st_size / 1e6:.1f} MB)")
