"""--config FILE:VARIANT and --config.key=value, in every command that reads a config."""

import argparse
import importlib

import command_lines
import pytest

from vireid_jax import config as config_lib
from vireid_jax.cli import app, names
from vireid_jax.cli.line import COMMANDS
from vireid_jax.common.errors import UserError
from vireid_jax.config import arguments

BY_FLAGS = ("main", "splits", "import_weights")
NAME = "agw_synthetic:smoke"
# What each needs besides a config.
OTHERS = {
  "ablate": ["full"],
  "benchmark step": [],
  "benchmark embed": [],
  "benchmark floor": [],
  "cost": [],
  "pedmix_sheet": ["--out=a.png"],
}
SPELLINGS = (
  ["--config.method.width=16"],
  ["--config.method.width", "16"],
  ["-config.method.width=16"],
)


class Parsed(BaseException):
  """Ends a command with its parser and what that read."""


def parsed(monkeypatch, command, *words):
  def parse(parser, given=None, read=app.Parser.parse_args):
    raise Parsed(parser, read(parser, given) if words else None)

  monkeypatch.setattr(app.Parser, "parse_args", parse)
  door, *first = command.split()
  with pytest.raises(Parsed) as caught:
    importlib.import_module(f"vireid_jax.{door}").main([*first, *words])
  monkeypatch.undo()
  return caught.value.args


def parsers(parser):
  yield parser
  for action in parser._actions:
    if isinstance(action, argparse._SubParsersAction):
      for inner in action.choices.values():
        yield from parsers(inner)


@pytest.mark.parametrize("command", OTHERS)
@pytest.mark.parametrize("spelling", SPELLINGS, ids=" ".join)
def test_a_parser_with_a_config_takes_overrides(command, spelling, monkeypatch):
  words = [f"--config={NAME}", *spelling, "--config.data.image-size=(64,32)", *OTHERS[command]]
  _, given = parsed(monkeypatch, command, *words)
  (name,) = arguments.configs(given) if hasattr(given, "configs") else [given.config]
  config = config_lib.load(name, given.overrides)
  assert (name, config.method.width, config.data.image_size) == (NAME, 16, (64, 32))
  with pytest.raises(UserError, match=r"--config.method.widht: no such key; did you mean"):
    config_lib.load(name, ["--config.method.widht=1"])


@pytest.mark.parametrize("door", BY_FLAGS)
@pytest.mark.parametrize("spelling", SPELLINGS, ids=" ".join)
def test_flags_take_overrides(door, spelling):
  importlib.import_module(f"vireid_jax.{door}")
  with command_lines.parsed(f"--config={NAME}", *spelling) as main:
    assert main.run_flags.read_config().method.width == 16


def test_configs_stand_alone_or_behind_the_option(monkeypatch):
  words = ["--classes", "4", "a", "--config", "b", "--config=c"]
  _, given = parsed(monkeypatch, "cost", *words)
  assert (arguments.configs(given), given.classes, given.overrides) == (["a", "b", "c"], 4, [])
  _, given = parsed(monkeypatch, "cost", "--classes=4")
  with pytest.raises(UserError, match="following arguments are required: configs; for example"):
    arguments.configs(given)


def test_every_option_is_found_with_hyphens_and_with_underscores(monkeypatch):
  swap = str.maketrans("-_", "_-")
  doors = {command.door for command in COMMANDS.values()} - set(BY_FLAGS)
  seen = 0
  for door in sorted(doors):
    for parser in parsers(parsed(monkeypatch, door)[0]):
      options = parser._option_string_actions
      for option in filter(lambda option: option.startswith("--"), options):
        swapped = f"--{option[2:].translate(swap)}"
        assert names.spelled(swapped, options) == option
        seen += swapped != option
  assert seen > 10
