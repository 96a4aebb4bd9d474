"""The flags that every run shares, and how a command that has them starts."""

import pathlib
import sys
from collections.abc import Callable
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.cli import app as app_lib
from vireid_jax.cli import config_flag
from vireid_jax.common import files
from vireid_jax.common.errors import UserError

HELP = {"-h", "-help", "--help", "--helpfull", "--helpshort"}
MODES = ("train", "evaluate", "report")

_CONFIG = config_flag.define()
WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of checkpoints, metrics and results, runs/<config>[-<variants>] without it; for a report "
  "several, or globs, between commas.",
)
MODE = flags.DEFINE_enum("mode", "train", MODES, "What to do.")
STEP = flags.DEFINE_integer("step", None, "Checkpoint to evaluate; the latest when absent.")
# Boolean to the parser, so that it stands alone too: its value is then 'true'.
HTML = flags.DEFINE_flag(
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


def prepare_devices() -> None:
  """Joins the other processes, if any, and turns on the compilation cache."""
  # Orbax logs a page of traceback for errors that are raised as well.
  logging.set_verbosity(logging.FATAL)
  from vireid_jax.runtime import compilation, distributed

  distributed.start(_COORDINATOR_ADDRESS.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
  compilation.use_cache()


_EXAMPLES = {"config": "configs/mun_synthetic.py", "workdir": "runs/mun_synthetic"}


def require(name: str) -> str:
  """Returns the value of a flag; raises UserError when it was not given."""
  flag = flags.FLAGS[name]
  if flag.value is None:
    raise UserError(f"--{name} is required; for example --{name} {_EXAMPLES[name]}")
  return flag.value


def read_config() -> ConfigDict:
  """Returns the config with the overrides of the command line; refuses a command without one."""
  require("config")
  return _CONFIG.value


def workdir(suffix: str = "") -> pathlib.Path:
  """Returns --workdir; without it, and said so, a folder in runs/ named after the config.

  Args:
    suffix: of that name, for commands that keep other things in their workdir than a run.
  """
  if WORKDIR.value is not None:
    return files.folder_named(WORKDIR.value, "--workdir")
  given = config_flag.given()
  folder = config_lib.workdir(given, suffix) if given else config_lib.RUNS
  # The tables of a report may go to a file.
  stream = sys.stderr if MODE.value == "report" else sys.stdout
  print(f"workdir: {folder} (another one: --workdir)", file=stream, flush=True)
  return files.folder_named(str(folder), "--workdir")


def run(command: Callable[[list[str]], int]) -> NoReturn:
  """Entry point: parses the flags, then runs a command in the common frame."""
  app_lib.start(lambda: _call(command, sys.argv))


def _call(command, argv: list[str]) -> int:
  if HELP.intersection(argv[1:]):
    for flag in flags.FLAGS.get_key_flags_for_module(__name__):
      flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.usage(shorthelp=True, writeto_stdout=True)
    return 0
  return command(_parse_flags(argv))


def _parse_flags(argv: list[str]) -> list[str]:
  return config_flag.parse(argv)
