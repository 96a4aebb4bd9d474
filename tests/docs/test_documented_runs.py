"""Every command of README.md and docs/ is run here, or is listed with how and when it was run."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import config_files
import guides
import pytest
from PIL import Image
from test_commands import FOUND, PAGES, shell_lines

LIST = pathlib.Path(__file__).with_name("documented_commands.txt")
KINDS = r"run|name|test tests/\S+|\d{4}-\d\d-\d\d|not run: .+"


def listed():
  return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def entries():
  """Returns (how, arguments) of every line of the list."""
  lines = [line for line in listed() if not line.startswith("shell ")]
  split = [line.partition(" | ") for line in lines]
  return [(how, tuple(shlex.split(command))) for how, _, command in split]


ENTRIES = entries()


def test_every_documented_command_is_listed_once():
  documented = {tuple(arguments) for _, arguments in FOUND}
  listed = [arguments for _, arguments in ENTRIES]
  assert len(set(listed)) == len(listed)
  missing = [shlex.join(arguments) for arguments in documented - set(listed)]
  stale = [shlex.join(arguments) for arguments in set(listed) - documented]
  assert not missing and not stale, (missing, stale)


def test_every_other_line_that_is_typed_is_listed_once():
  given = [line.removeprefix("shell ") for line in listed() if line.startswith("shell ")]
  known = [line.partition(" | ")[2] for line in given]
  assert all(re.fullmatch(rf"CI|{KINDS}", line.partition(" | ")[0]) for line in given)
  typed = {line for page in (*PAGES, "CONTRIBUTING.md") for line in shell_lines(page)}
  assert len(set(known)) == len(known) and set(known) == typed


@pytest.mark.parametrize("how, arguments", ENTRIES, ids=lambda value: str(value)[:60])
def test_the_way_a_command_was_run_is_said(how, arguments):
  assert re.fullmatch(KINDS, how)
  if how != "run":
    assert (how == "name") == (len(arguments) == 1 or arguments in MODES)
  if how.startswith("test "):
    assert (guides.ROOT / how.removeprefix("test ")).is_file()


MODES = [("main", f"--mode={mode}") for mode in ("train", "evaluate", "report")]


@pytest.mark.slow
def test_the_fast_ones_run_as_they_are_written(tmp_path):
  (tmp_path / "configs").symlink_to(config_files.FOLDER)
  Image.new("RGB", (48, 96), (90, 60, 30)).save(tmp_path / "photo.jpg")
  environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path / "prepared")}
  environment["PYTHONPATH"] = str(guides.ROOT)
  for how, (door, *arguments) in ENTRIES:
    if how != "run":
      continue
    arguments = [argument.replace("/tmp/", f"{tmp_path}/") for argument in arguments]
    done = subprocess.run(
      [sys.executable, "-m", f"vireid_jax.{door}", *arguments],
      cwd=tmp_path,
      env=environment,
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, (door, arguments, done.stdout + done.stderr)
  assert (tmp_path / "runs/walk_sysu/eval/step_0000004.json").is_file()
  for name in ("sysu_mm01", "regdb", "llcm"):
    assert list((tmp_path / "prepared" / name).glob("*/dataset_info.json"))
