"""Command line: python -m vireid_jax.main --config configs/agw_sysu.py --workdir DIR."""

from vireid_jax import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import pathlib
import sys
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict

from vireid_jax import command as command_lib
from vireid_jax import config_file, config_flag, storage
from vireid_jax.errors import UserError, printable

HELP = {"-h", "-help", "--help", "--helpfull", "--helpshort"}
MODES = ("train", "evaluate", "report")

_CONFIG = config_flag.define()
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of checkpoints, metrics and results, runs/<config>[-<variants>] without it; for a report "
  "several, or globs, between commas.",
)
_MODE = flags.DEFINE_enum("mode", "train", MODES, "What to do.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint to evaluate; the latest when absent.")
# Boolean to the parser, so that it stands alone too: its value is then 'true'.
_HTML = flags.DEFINE_flag(
  flags.Flag(
    flags.ArgumentParser(),
    flags.ArgumentSerializer(),
    "html",
    None,
    "For a report: write a page with figures and pictures; to this file, if one is named.",
    boolean=True,
  )
)
_COORDINATOR_ADDRESS = flags.DEFINE_string(
  "coordinator_address",
  None,
  "Several processes: host:port of process 0. Not needed on TPU pods, SLURM and Open MPI.",
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Several processes: how many.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Several processes: which, from 0.")


def main(argv: list[str]) -> int:
  """Dispatches on --mode; returns the exit code."""
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  if _MODE.value == "report":
    if config_flag.kept():
      raise UserError(f"{config_flag.kept()[0]}: a report reads no config; leave it out")
    items = [str(workdir())] if _WORKDIR.value is None else _WORKDIR.value.split(",")
    for item in items:
      storage.folder_named(item, "--workdir")
    print_report(items) if _HTML.value in (None, "false") else write_page(items, _HTML.value)
    return 0
  if _HTML.value is not None:
    raise UserError(f"--html is for --mode=report; --mode is {_MODE.value}")
  if _MODE.value == "evaluate":
    return evaluate_checkpoint()
  if _STEP.value is not None:
    raise UserError(f"--step={_STEP.value} is for --mode=evaluate and report; --mode is train")
  config, folder = read_config(), workdir()
  prepare_devices()
  from vireid_jax import train

  try:
    train.train(config, folder)
  except train.Preempted as event:
    print(f"{event}. The same command continues.", file=sys.stderr)
    return interrupts.EXIT_STOPPED
  return 0


def evaluate_checkpoint() -> int:
  """Evaluates with the checkpoint's own config, unless a file is named; returns the exit code."""
  config = read_config() if config_flag.given() else None
  folder = workdir() if config else storage.folder_named(require("workdir"), "--workdir")
  prepare_devices()
  from vireid_jax import evaluate

  evaluate.evaluate(config, folder, step=_STEP.value, overrides=config_flag.kept())
  return 0


def prepare_devices() -> None:
  """Joins the other processes, if any, and turns on the compilation cache."""
  # Orbax logs a page of traceback for errors that are raised as well.
  logging.set_verbosity(logging.FATAL)
  from vireid_jax import compilation, distributed

  distributed.start(_COORDINATOR_ADDRESS.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
  compilation.use_cache()


_EXAMPLES = {"config": "configs/mun_synthetic.py", "workdir": "runs/mun_synthetic"}


def require(name: str) -> str:
  """Returns the value of a flag; raises UserError when it was not given."""
  flag = flags.FLAGS[name]
  if flag.value is None:
    raise UserError(f"--{name} is required; for example --{name} {_EXAMPLES[name]}")
  return flag.value


def print_report(items: list[str]) -> None:
  """Prints the tables of some runs; see `report.render`."""
  from vireid_jax import report

  print(report.render(items, step=_STEP.value))


def write_page(items: list[str], file: str) -> None:
  """Writes the page of some runs and says where; `file` is 'true' where none was named."""
  from vireid_jax.report import page

  page.needs.check()  # before JAX and a compilation are waited for
  prepare_devices()
  path = page.write(items, "" if file == "true" else file, step=_STEP.value)
  print(f"{printable(str(path))} ({path.stat().st_size / 1e6:.1f} MB)")


def read_config() -> ConfigDict:
  """Returns the config with the overrides of the command line; refuses a command without one."""
  require("config")
  return _CONFIG.value


def workdir(suffix: str = "") -> pathlib.Path:
  """Returns --workdir; without it, and said so, a folder in runs/ named after the config.

  Args:
    suffix: of that name, for commands that keep other things in their workdir than a run.
  """
  if _WORKDIR.value is not None:
    return storage.folder_named(_WORKDIR.value, "--workdir")
  given = config_flag.given()
  folder = config_file.workdir(given, suffix) if given else config_file.RUNS
  # The tables of a report may go to a file.
  stream = sys.stderr if _MODE.value == "report" else sys.stdout
  print(f"workdir: {folder} (another one: --workdir)", file=stream, flush=True)
  return storage.folder_named(str(folder), "--workdir")


def run(command=None) -> NoReturn:
  """Entry point: parses the flags, then runs `main` or another command in the common frame."""
  command_lib.start(lambda: _call(command or main, sys.argv))


def _call(command, argv: list[str]) -> int:
  if HELP.intersection(argv[1:]):
    flags.adopt_module_key_flags(sys.modules[__name__], flags.FLAGS)
    app.usage(shorthelp=True, writeto_stdout=True)
    return 0
  return command(_parse_flags(argv))


def _parse_flags(argv: list[str]) -> list[str]:
  return config_flag.parse(argv)


if __name__ == "__main__":
  run()
