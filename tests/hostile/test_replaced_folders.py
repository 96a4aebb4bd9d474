"""A folder that is replaced and killed at any moment: the old one or the new one is there."""

import pathlib
import subprocess
import sys

import pytest

from vireid_jax.common import folders
from vireid_jax.data.prepared import location

ROOT = pathlib.Path(__file__).parents[2]

# Replaces a data set in child processes that are killed at the first, second, ... operation on
# files; prints what the next look finds: one line per kill, and one for the child that ended.
KILLED = """
import os, pathlib, sys
from vireid_jax.common import folders
from vireid_jax.data import preparing
from vireid_jax.data.prepared import location

OPERATIONS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "open", "exchange"}
root, atomic = pathlib.Path(sys.argv[1]), sys.argv[2] == "atomic"
exchange = folders._exchange

def make(folder, name):
  folder.mkdir(parents=True)
  (folder / "dataset_info.json").write_text(name)

def life(place, number):
  seen = 0
  def count(event, arguments):
    nonlocal seen
    if event in OPERATIONS:
      seen += 1
      if seen == number:
        os._exit(9)
  def watched(*arguments):
    count("exchange", ())
    return atomic and exchange(*arguments)
  folders._exchange = watched
  sys.addaudithook(count)
  with preparing._staging_folder(place, layout) as staging:
    make(staging / "regdb/1.0.0", "new")
    preparing._publish(staging / "regdb/1.0.0", place / "regdb/1.0.0", True)
  os._exit(0)

class layout:
  images = ()

for number in range(1, 1000):
  place = root / str(number)
  make(place / "regdb/1.0.0", "old")
  process = os.fork()
  if not process:
    life(place, number)
  _, status = os.waitpid(process, 0)
  (found,) = location.prepared_versions("regdb", place)
  print(os.waitstatus_to_exitcode(status), found.name, (found / "dataset_info.json").read_text())
  if not status:
    break
"""


@pytest.mark.parametrize("way", ["atomic", "in two"])
def test_a_kill_at_any_operation_leaves_a_data_set(way, tmp_path):
  command = [sys.executable, "-c", KILLED, str(tmp_path), way]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  *killed, ended = done.stdout.splitlines()
  assert ended == "0 1.0.0 new" and len(killed) >= 10
  found = [line.removeprefix("9 1.0.0 ") for line in killed]
  assert sorted(found, reverse=True) == found and set(found) == {
    "old",
    "new",
  }  # first old, then new


def test_only_what_was_moved_away_comes_back(tmp_path):
  name = tmp_path / "regdb/1.0.0"
  for path in (name.with_name(".1.0.0.replaced"), name.with_name(".2.0.0.replaced")):
    path.mkdir(parents=True)
    (path / "dataset_info.json").write_text(path.name)
  (name.with_name("2.0.0")).mkdir()
  (name.with_name("2.0.0") / "dataset_info.json").write_text("there")
  versions = location.prepared_versions("regdb", tmp_path)
  assert [(path / "dataset_info.json").read_text() for path in versions] == [
    ".1.0.0.replaced",
    "there",
  ]


def test_what_cannot_be_renamed_stays_as_it_was(tmp_path, monkeypatch):
  monkeypatch.setattr(folders, "_exchange", lambda *_: False)
  target = tmp_path / "target"
  target.mkdir()
  (target / "old").touch()
  with pytest.raises(OSError, match="No such file"):
    folders.put(tmp_path / "nothing", target)
  assert [path.name for path in tmp_path.rglob("*")] == ["target", "old"]
