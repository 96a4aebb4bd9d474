"""Flags shared by the commands that train or evaluate, and the entry point of these commands."""

import argparse
import pathlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import flags, logging
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.cli import app as app_lib
from vireid_jax.cli import config_flag, names
from vireid_jax.common import files, formats
from vireid_jax.common.errors import UserError

HELP = {"-h", "-help", "--help", "--helpfull", "--helpshort"}
MODES = ("train", "evaluate", "report")

_CONFIG = config_flag.define()
WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of checkpoints, metrics and results; default runs/<config>[-<variants>]. For a report "
  "several folders or globs, separated by commas.",
)
MODE = flags.DEFINE_enum("mode", "train", MODES, "What to do.")
STEP = flags.DEFINE_integer("step", None, "Step of the checkpoint to evaluate; default the latest.")
VERBOSE = flags.DEFINE_bool("verbose", False, "Print all ranks and counts of an evaluation.")
FORMAT = flags.DEFINE_enum(
  "format", None, formats.PAPER_FORMATS, "For a report: format of the tables; default table."
)
ALL = flags.DEFINE_bool("all", False, "For a report: print all settings, not one per run.")
# Boolean for the parser, so that it may be given without a value, which is then 'true'.
HTML = flags.DEFINE_flag(
  flags.Flag(
    flags.ArgumentParser(),
    flags.ArgumentSerializer(),
    "html",
    None,
    "For a report: write a page with figures and images, to this file if one is given.",
    boolean=True,
  )
)
_COORDINATOR_ADDRESS = flags.DEFINE_string(
  "coordinator_address",
  None,
  "With several processes: host:port of process 0. Not needed on TPU pods, SLURM or Open MPI.",
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Index of this process, from 0.")


def prepare_devices() -> None:
  """Connects to other processes, if any, and enables the compilation cache."""
  # Orbax logs long tracebacks of errors that it also raises.
  logging.set_verbosity(logging.FATAL)
  from vireid_jax.runtime import compilation, distributed

  distributed.start(_COORDINATOR_ADDRESS.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
  compilation.use_cache()


_EXAMPLES = {"config": "configs/mun_synthetic.py", "workdir": "runs/mun_synthetic"}


def require(name: str) -> str:
  """Returns the value of a flag; raises UserError if it was not given."""
  flag = flags.FLAGS[name]
  if flag.value is None:
    raise UserError(f"--{name} is required; for example --{name} {_EXAMPLES[name]}")
  return flag.value


def read_config() -> ConfigDict:
  """Returns the config with its overrides; raises UserError without --config."""
  require("config")
  return _CONFIG.value


def workdir(suffix: str = "") -> pathlib.Path:
  """Returns --workdir, or else a folder in runs/ named after the config, which is printed.

  Args:
    suffix: Suffix of the default name, for commands whose workdir is not a single run.
  """
  if WORKDIR.value is not None:
    return files.folder_named(WORKDIR.value, "--workdir")
  given = config_flag.given()
  folder = config_lib.workdir(given, suffix) if given else config_lib.RUNS
  # A report's tables may be redirected to a file.
  stream = sys.stderr if MODE.value == "report" else sys.stdout
  print(f"workdir: {folder} (change it with --workdir)", file=stream, flush=True)
  return files.folder_named(str(folder), "--workdir")


def run(command: Callable[[list[str]], int], *, unused: Sequence[str] = ()) -> NoReturn:
  """Entry point: parses the flags and runs a command; see `app.start`.

  Args:
    command: Function (positional arguments) -> exit code.
    unused: Flags of this module that the command refuses.
  """
  app_lib.start(lambda: _call(command, sys.argv, unused))


def refuse(unused: Sequence[str]) -> None:
  """Raises UserError for a given flag that the command does not have."""
  for name in unused:
    if flags.FLAGS[name].present:
      raise UserError(f"unknown option --{name}; {names.program(_program())} --help lists them")


def _program() -> str:
  return f"python -m vireid_jax.{pathlib.Path(sys.argv[0]).stem}"


def _call(command, argv: list[str], unused: Sequence[str]) -> int:
  if HELP.intersection(argv[1:]):
    print(_help(unused), end="")
    return 0
  if "--version" in argv[1:]:
    print(names.VERSION)
    return 0
  argv[1:] = map(names.underscored, argv[1:])  # in place: the parser of configs reads sys.argv
  return command(config_flag.parse(argv))


def _help(unused: Sequence[str]) -> str:
  """Returns the text of --help, with all flags of the command."""
  parser = app_lib.Parser(
    prog=_program(),
    description=sys.modules["__main__"].__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    epilog=app_lib.OVERRIDES,
  )
  for flag in _own_flags(unused):
    default = f" Default {flag.default}." if flag.default else ""
    text = re.sub(r"^<.*?>: ", "", flag.help) + default  # absl lists the choices there
    parser.add_argument(f"--{flag.name}", help=text.replace("%", "%%"), **_shape(flag))
  return parser.format_help()


def _shape(flag: flags.Flag) -> dict[str, Any]:
  """Returns argparse's keyword arguments for a flag."""
  if isinstance(flag.parser, flags.EnumParser):
    return {"choices": flag.parser.enum_values}
  if isinstance(flag.parser, flags.BooleanParser):
    return {"action": "store_true"}
  return {"metavar": flag.name.upper(), "nargs": "?" if flag.boolean else None}


def _own_flags(unused: Sequence[str]) -> list[flags.Flag]:
  """Returns the flags of this package's modules and of the command, sorted by name."""
  found = flags.FLAGS.flags_by_module_dict()
  ours = [module for module in found if "vireid_jax" in module or module == sys.argv[0]]
  by_name = {flag.name: flag for module in ours for flag in found[module]}
  return [
    by_name[name] for name in sorted(by_name) if name not in unused and not names.is_hidden(name)
  ]
