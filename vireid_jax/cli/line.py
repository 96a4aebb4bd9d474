"""The command line `vireid COMMAND [options]`: lists the commands and starts one."""

import dataclasses
import re
import runpy
import sys
from typing import NoReturn

from vireid_jax.cli import app, names
from vireid_jax.common import table
from vireid_jax.common.errors import UserError, nearest, printable, shown

HELP = ("-h", "--help", "help")


@dataclasses.dataclass(frozen=True)
class Command:
  """A command.

  Attributes:
    door: Module that is run, as `python -m vireid_jax.<door>`.
    summary: One-line description.
    mode: Value of the door's --mode; empty if it has none.
    unused: Options of the door that this mode refuses.
  """

  door: str
  summary: str
  mode: str = ""
  unused: tuple[str, ...] = ()


COMMANDS = {
  "train": Command(
    "main", "train and evaluate a config", "train", ("all", "format", "html", "step")
  ),
  "evaluate": Command(
    "main", "evaluate a checkpoint again", "evaluate", ("all", "format", "html", "print_config")
  ),
  "report": Command(
    "main",
    "print tables of runs; with --html write a page with figures",
    "report",
    ("print_config", "verbose"),
  ),
  "prepare": Command("prepare", "convert a data set's original files for training"),
  "embed": Command("embed", "write the features of a folder of images"),
  "search": Command("search", "rank a folder of images for each query"),
  "export": Command("export", "write the retrieval function for programs with JAX only"),
  "benchmark": Command("benchmark", "measure speed"),
  "ablate": Command("ablate", "train variants of a config over several seeds and compare them"),
  "splits": Command("splits", "train and evaluate all splits of a data set, and average"),
  "import-weights": Command(
    "import_weights", "convert the authors' PyTorch weights to a checkpoint"
  ),
  "synthesize": Command("synthesize", "write synthetic data sets in the original layouts"),
  "cost": Command("cost", "count parameters and operations of configs"),
  "plan": Command("plan", "compile configs for GPUs and TPUs that are not here"),
  "list": Command("list", "list methods, configs, data sets and protocols by name"),
  "pedmix-sheet": Command("pedmix_sheet", "draw image pairs before and after mixing"),
  "corruption-sheet": Command("corruption_sheet", "draw an image with every corruption"),
}


def start() -> NoReturn:
  """Runs the command of the process's command line, and ends with its exit code."""
  words = sys.argv[1:]
  name = words[0].replace("_", "-") if words else ""
  if name not in COMMANDS:
    app.start(lambda: _answer(words))
  command = COMMANDS[name]
  if command.mode and any(re.match(r"--?mode(=|$)", word) for word in words):
    app.start(lambda: _refuse_mode(name))
  names.call(name, hidden=["mode", *command.unused] if command.mode else [])
  sys.argv[1:] = [f"--mode={command.mode}"] * bool(command.mode) + words[1:]
  runpy.run_module(f"vireid_jax.{command.door}", run_name="__main__", alter_sys=True)
  raise AssertionError("a command ends the process")


def overview() -> str:
  """Returns the text of `vireid --help`."""
  rows = [(name, command.summary) for name, command in COMMANDS.items()]
  return "\n".join(
    (
      "usage: vireid COMMAND [options]",
      "",
      "Visible-infrared person re-identification.",
      "",
      "commands:",
      table.plain((), rows, "ll", indent="  "),
      "",
      "options:",
      "  -h, --help  show this text; 'vireid COMMAND --help' lists the options of a command",
      "  --version   show the version",
    )
  )


def _answer(words: list[str]) -> int:
  """Handles a command line without a known command."""
  if not words:
    raise UserError("no command; vireid --help lists the commands")
  if words[0] in HELP:
    print(overview())
  elif words[0] == "--version":
    print(names.VERSION)
  elif words[0].startswith("-"):
    raise UserError(
      f"unknown option {printable(words[0])[:100]}; the command comes first, "
      "and vireid --help lists the commands"
    )
  else:
    near = nearest(words[0].replace("_", "-"), COMMANDS)
    raise UserError(f"unknown command {shown(words[0])}; {near}")
  return 0


def _refuse_mode(name: str) -> NoReturn:
  modes = ", ".join(f"vireid {key}" for key, command in COMMANDS.items() if command.mode)
  raise UserError(f"vireid {name} sets --mode itself; leave it out (commands: {modes})")
