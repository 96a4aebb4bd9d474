"""The commands that messages suggest exist."""

import ast
import importlib
import pathlib

import command_lines
import pytest

import vireid_jax
from vireid_jax.cli import app
from vireid_jax.cli.line import COMMANDS
from vireid_jax.common import hints

PACKAGE = pathlib.Path(vireid_jax.__file__).parent
BY_FLAGS = ("main", "splits", "import_weights")


class Parsed(BaseException):
  """Ends a command once its options are read."""


def tree_of(path):
  return ast.parse(path.read_text(encoding="utf-8"))


def words_of(call):
  """Returns what a call of `hints.command` is given, an example for what is known only later."""
  words = [
    node.value if isinstance(node, ast.Constant) else "regdb"
    for node in call.args
    if not isinstance(node, ast.Starred)
  ]
  after = zip(["", *words], words, strict=False)
  return ["agw_synthetic" if before == "--config" else word for before, word in after]


HINTS = sorted(
  {
    tuple(words_of(node))
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(tree_of(path))
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "hints.command"
  }
)


@pytest.mark.parametrize("hint", HINTS, ids=" ".join)
def test_the_command_of_a_hint_takes_its_options(hint, monkeypatch):
  name, *words = hint
  door = importlib.import_module(f"vireid_jax.{COMMANDS[name].door}")
  if COMMANDS[name].door in BY_FLAGS:
    with command_lines.parsed(f"--mode={COMMANDS[name].mode}", *words) as main:
      assert main.run_flags.MODE.value == name
    return

  def parse(parser, *given, read=app.Parser.parse_args):
    read(parser, *given)
    raise Parsed

  monkeypatch.setattr(app.Parser, "parse_args", parse)
  with pytest.raises(Parsed):
    door.main(words)


def test_there_are_hints_to_prepare_to_train_and_to_evaluate():
  assert {name for name, *_ in HINTS} == {"prepare", "train", "evaluate", "report"}


def test_no_message_writes_a_command_line_of_its_own():
  rooms = [path for path in PACKAGE.rglob("*.py") if path.parent not in (PACKAGE, PACKAGE / "cli")]
  for path in rooms:
    tree = tree_of(path)
    docstrings = {
      node.body[0].value
      for node in ast.walk(tree)
      if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)
    }
    for node in set(ast.walk(tree)) - docstrings:
      if isinstance(node, ast.Constant) and isinstance(node.value, str):
        wrong = [part for part in ("python -m vireid_jax", "--mode=") if part in node.value]
        assert not wrong, (path, node.lineno)


def test_a_hint_is_what_a_shell_reads():
  expected = "vireid prepare regdb --manual_dir 'my data' --data_dir /a"
  words = ("regdb", "--manual_dir", pathlib.Path("my data"), "--data_dir", "/a")
  assert hints.command("prepare", *words) == expected
