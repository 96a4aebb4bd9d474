"""The flags that every run shares, and how a command that has them starts."""

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


def run(command: Callable[[list[str]], int], *, unused: Sequence[str] = ()) -> NoReturn:
  """Entry point: parses the flags, then runs a command in the common frame.

  Args:
    command: (arguments that are no options) -> exit code.
    unused: flags of this module that the command refuses.
  """
  app_lib.start(lambda: _call(command, sys.argv, unused))


def refuse(unused: Sequence[str]) -> None:
  """Raises UserError for a flag that was given to a command without it."""
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
  """Returns the text of --help: what every flag that the command takes does."""
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
  """Returns what argparse is told of a flag's values."""
  if isinstance(flag.parser, flags.EnumParser):
    return {"choices": flag.parser.enum_values}
  if isinstance(flag.parser, flags.BooleanParser):
    return {"action": "store_true"}
  return {"metavar": flag.name.upper(), "nargs": "?" if flag.boolean else None}


def _own_flags(unused: Sequence[str]) -> list[flags.Flag]:
  """Returns the flags of this package's modules and of the command, in order of their names."""
  found = flags.FLAGS.flags_by_module_dict()
  own = [module for module in found if "vireid_jax" in module or module == sys.argv[0]]
  mine = {flag.name: flag for module in own for flag in found[module]}
  return [mine[name] for name in sorted(mine) if name not in unused and not names.is_hidden(name)]
