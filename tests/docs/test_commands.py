"""Every command of README.md and docs/ still parses: options, config keys and values exist."""

import importlib
import re
import shlex

import command_lines
import config_files
import guides
import pytest

from vireid_jax.cli import app
from vireid_jax.cli.line import COMMANDS
from vireid_jax.common import bucket_path
from vireid_jax.config import checks, keys

DOCS = sorted((guides.ROOT / "docs").rglob("*.md"))
PAGES = ["README.md", *(str(path.relative_to(guides.ROOT)) for path in DOCS)]
BY_FLAGS = ("main", "splits", "import_weights")
GUIDE = "adding_a_method.md"
CODE = re.compile(r"`([^`]+)`")


class Parsed(BaseException):
  """Ends a command once its options are read."""


def as_module(line):
  """Returns 'vireid COMMAND ...' as the 'python -m vireid_jax.DOOR ...' that it stands for."""
  said = re.match(r"vireid ([a-z][\w-]*)(.*)", line)
  if said is None:
    return line
  command = COMMANDS[said[1].replace("_", "-")]
  mode = f" --mode={command.mode}" if command.mode else ""
  return f"python -m vireid_jax.{command.door}{mode}{said[2]}"


def pieces_of(page):
  """Returns [prose, language, block, '', prose, ...] of a page."""
  return re.split(r"^```(.*)\n", (guides.ROOT / page).read_text("utf-8"), flags=re.MULTILINE)


def typed_lines(page):
  """Returns the lines of all blocks that a reader types into a shell; a block of text says so."""
  pieces, lines = pieces_of(page), []
  for opening, content in zip(pieces[1::4], pieces[2::4], strict=True):
    lines += content.replace("\\\n", " ").splitlines() if opening in ("", "sh", "bash") else []
  return [line for line in lines if line.strip() and not line.startswith("#")]


def commands(page):
  """Returns the arguments behind `python -m` of every command of a page, in blocks and in lines."""
  pieces, lines = pieces_of(page), typed_lines(page)
  for prose in pieces[0::4]:
    lines += [" ".join(code.split()) for code in CODE.findall(prose)]
  found = [as_module(line).partition("python -m vireid_jax.")[2] for line in lines]
  # A command for other hosts stands in quotes.
  found = [line.removesuffix('"') if line.count('"') % 2 else line for line in found]
  return [shlex.split(line, comments=True) for line in found if line and "..." not in line]


TOOLS = r"(pip install|(python -m )?pytest|mkdocs|wandb|head|\.ci/run)\b"


def shell_lines(page):
  """Returns the other lines that a reader types: those of pip, pytest, git and the like."""
  lines = [" ".join(line.split(" #")[0].split()) for line in typed_lines(page)]
  codes = [
    " ".join(code.split()) for prose in pieces_of(page)[0::4] for code in CODE.findall(prose)
  ]
  lines += [code for code in codes if re.match(TOOLS, code) and len(code.split()) > 1]
  return [line for line in lines if "python -m vireid_jax." not in as_module(line)]


FOUND = [(page, arguments) for page in PAGES for arguments in commands(page)]


@pytest.fixture
def reader(tmp_path, monkeypatch):
  """The folder of a reader who has the repository's configs, the guide's files and own weights."""
  (tmp_path / "configs").symlink_to(config_files.FOLDER)
  for name, content in guides.files(GUIDE).items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content, encoding="utf-8")
  (tmp_path / "my_vit_s.safetensors").touch()  # weights of the reader's own (docs/weights.md)
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)

  def parse(parser, *given, read=app.Parser.parse_args):
    read(parser, *given)
    raise Parsed

  monkeypatch.setattr(app.Parser, "parse_args", parse)
  pytest.importorskip("gcsfs")
  monkeypatch.setattr(bucket_path, "_wrong_with", lambda bucket: "")  # nothing is asked for
  for name in BY_FLAGS:
    importlib.import_module(f"vireid_jax.{name}")


@pytest.mark.parametrize("page, arguments", FOUND, ids=lambda value: str(value)[:60])
@pytest.mark.usefixtures("reader")
def test_a_documented_command_parses(page, arguments):
  name, *arguments = (argument.replace("$i", "0") for argument in arguments)
  module = importlib.import_module(f"vireid_jax.{name}")
  if name in BY_FLAGS:
    with command_lines.parsed(*arguments) as main:
      if any(argument.startswith("--config=") or argument == "--config" for argument in arguments):
        checks.validate(main.run_flags.read_config())
      main.run_flags.workdir()
  elif arguments and hasattr(module, "main"):
    with pytest.raises((Parsed, SystemExit)):  # the latter after --help
      module.main(arguments)


def test_there_are_commands_of_every_page_that_shows_some():
  assert len(FOUND) > 50
  assert {page for page, _ in FOUND} >= {"README.md", "docs/use.md", "docs/evaluation.md"}


def test_every_config_key_that_a_page_names_exists():
  known = set()
  for name in config_files.NAMES:
    flat = keys.flatten(keys.plain(config_files.load(name)))
    for key in flat:
      parts = key.split(".")
      known |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
  known |= {"method.weight", "data.dir"}  # of the guide's own method
  for page in PAGES:
    text = (guides.ROOT / page).read_text(encoding="utf-8")
    for key in re.findall(r"--config\.([a-z_]+(?:\.[a-z_0-9]+)*)", text):
      assert key in known, (page, key)
