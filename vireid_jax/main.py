"""Command line: python -m vireid_jax.main --config configs/agw_sysu.py --workdir DIR."""

import pathlib
import sys

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from vireid_jax.errors import UserError, nearest

# BSD's code for "temporary failure, try again": job schedulers may restart the same command.
EXIT_PREEMPTED = 75
OPTIONS = (
  "config",
  "workdir",
  "mode",
  "step",
  "html",
  "coordinator_address",
  "num_processes",
  "process_id",
)
MODES = ("train", "evaluate", "report")

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, with :variant behind it.")
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of checkpoints, metrics and results; for a report several, or globs, between commas.",
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
    items = require("workdir").split(",")
    print_report(items) if _HTML.value in (None, "false") else write_page(items, _HTML.value)
    return 0
  if _HTML.value is not None:
    raise UserError(f"--html is for --mode=report; --mode is {_MODE.value}")
  require("config")
  workdir = pathlib.Path(require("workdir")).expanduser()
  config = read_config()
  prepare_devices()
  from vireid_jax import evaluate, train

  if _MODE.value == "evaluate":
    evaluate.evaluate(config, workdir, step=_STEP.value)
    return 0
  try:
    train.train(config, workdir)
  except train.Preempted as event:
    print(f"{event}. The same command continues.", file=sys.stderr)
    return EXIT_PREEMPTED
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
  print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def read_config() -> ConfigDict:
  """Returns the config; the parser keeps the error of an unreadable file until it is touched."""
  try:
    _CONFIG.value.method  # noqa: B018
  except OSError as error:
    *_, reason = str(error).strip().splitlines()
    here = [str(path) for path in pathlib.Path("configs").glob("*.py")]
    raise UserError(f"--config: {reason.strip()}; {nearest(_config_path(), here)}") from None
  return _CONFIG.value


def _config_path() -> str:
  return config_flags.get_config_filename(flags.FLAGS["config"])


def _parse_flags(argv: list[str]) -> list[str]:
  """Parses flags; turns what the parsers raise for a wrong config into a UserError."""
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    raise UserError(_explain(str(error))) from None
  except (AttributeError, KeyError) as error:
    raise UserError(f"--config has no such key: {error.args[0]}") from None
  except (TypeError, ValueError) as error:
    raise UserError(f"--config: {error}") from None


def _explain(message: str) -> str:
  known = [f"--{name}" for name in OPTIONS]
  unknown = message.split("'")[1] if "Unknown command line flag" in message else ""
  return f"unknown option --{unknown}; {nearest('--' + unknown, known)}" if unknown else message


def run(command=None) -> None:
  """Entry point: parses, runs `main` or another command, prints a UserError without traceback."""
  try:
    app.run(command or main, flags_parser=_parse_flags)
  except UserError as error:
    sys.exit(f"error: {error}")


if __name__ == "__main__":
  run()
