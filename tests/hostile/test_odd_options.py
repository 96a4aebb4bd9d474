"""Values of options that cannot be: one line, exit code 1, and nothing is written."""

import pathlib

import pytest
import trained_models

from vireid_jax import cost, embed, export, pedmix_sheet, prepare, search, synthesize

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
EMBED = (embed.main, "--images=photos", "--modality=visible", "--out=new.npz")
SEARCH = (search.main, "--gallery=photos", "--query=photos/1.png", "--query_modality=infrared")
EXPORT = (export.main, "--out=new")
COST = (cost.main, f"{CONFIGS}/agw_synthetic.py:smoke")
PAIRS = (pedmix_sheet.main, f"--config={CONFIGS}/tmpa_synthetic.py:smoke", "--out=new.png")
TREE = (synthesize.main, "regdb", "--out=new", "--identities=4")
PREPARE = (prepare.main, "regdb", "--manual_dir=photos", "--data_dir=new")
WRONG = [
  *((command, option) for command in (EMBED, SEARCH) for option in ("--batch=0", "--batch=-4")),
  *((command, "--step=8") for command in (EMBED, SEARCH, EXPORT)),
  *((command, "--step=1e3") for command in (EMBED, SEARCH, EXPORT)),
  *((command, "--checkpoint=") for command in (EMBED, SEARCH, EXPORT)),
  *((command, "--checkpoint=nothing") for command in (EMBED, SEARCH, EXPORT)),
  *((command, "--checkpoint=file") for command in (EMBED, SEARCH, EXPORT)),
  *((EMBED, f"--out={place}") for place in ("", "photos", "file/new", "~nobody_/a", "/dev/null")),
  *((EMBED, f"--images={place}") for place in ("", "empty", "a\0b", "~nobody_/a", "new")),
  *((SEARCH, f"--index={place}") for place in ("", "photos", "file/new", "~nobody_/a")),
  *((SEARCH, f"--out={place}") for place in ("photos", "file/new")),
  *((SEARCH, option) for option in ("--top=0", "--top=nan", "--gallery=", "--query=")),
  *((EXPORT, f"--out={place}") for place in ("", "file", "photos", "x" * 300)),
  *((COST, f"--classes={number}") for number in ("0", "-4", "nan", "")),
  *((PAIRS, option) for option in ("--out=new.jpg", "--out=", "--workdir=new", "--workdir=")),
  *((PAIRS, option) for option in ("--scale=0", "--pairs=0")),
  *((TREE, option) for option in ("--workers=0", "--workers=-4", "--seed=-1", "--identities=1")),
  *((TREE, f"--out={place}") for place in ("", "file", "photos", "~nobody_/a")),
  *((PREPARE, option) for option in ("--manual_dir=", "--manual_dir=file", "--manual_dir=photos")),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("odd")
  trained_models.save(folder / "run", "toys.linear")
  trained_models.pictures(folder / "photos", 2)
  (folder / "empty").mkdir()
  (folder / "file").touch()
  return folder


def contents(folder):
  return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def name(value):
  """Names a case alike in every process that runs tests: without the address of a function."""
  return value[:60] if isinstance(value, str) else value[0].__module__.rpartition(".")[2]


@pytest.mark.parametrize("command, option", WRONG, ids=name)
def test_odd_values_are_refused_in_a_line(command, option, folder, monkeypatch, capsys):
  monkeypatch.chdir(folder)
  main, *arguments = command
  if main in (embed.main, search.main, export.main):
    arguments = ["--checkpoint=run", *arguments]
  before = contents(folder)
  assert main([*arguments, option]) == 1
  said = capsys.readouterr()
  assert said.err.startswith("error: ") and said.err.count("\n") == 1 and len(said.err) < 600
  assert said.out == ""
  assert contents(folder) == before
