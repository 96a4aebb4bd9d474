"""Torn files of a workdir, leftovers of killed processes, and a workdir that is in use."""

import json
import shutil

import pytest
from toys import config as toy_config

from vireid_jax.common import files, workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import evaluate, manifest, train
from vireid_jax.runtime import workdir_lock
from vireid_jax.training import metrics
from vireid_jax.training.checkpoint_folders import UNFINISHED

GOOD = b'{"step": 2, "loss": 0.5}\n'


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("trained") / "run"
  train.train(make_config(data_dir, 2), workdir)
  return workdir


@pytest.fixture
def workdir(trained, tmp_path):
  """A copy of a run of two steps."""
  shutil.copytree(trained, tmp_path / "run")
  return tmp_path / "run"


def make_config(data_dir, steps):
  return toy_config.make(data_dir, steps=steps)


@pytest.mark.parametrize(
  "line",
  [
    b"\xff",
    b"5",
    b'{"step": 1, "lo',
    b"[]",
    b"null",
    b"{}",
    b'{"loss": 1}',
    b'{"step": "1"}',
    b'{"step": true}',
    b'{"step": 1, "loss": "x"}',
    b'{"step": 1, "loss": null}',
    bytes(40),
    b"[" * 9999,
    b'{"step": 1}{"step": 2}',
  ],
)
def test_a_damaged_line_of_metrics_is_named_and_skipped(line, tmp_path, capsys):
  path = tmp_path / workdir_files.METRICS
  path.write_bytes(GOOD + line + b"\n" + GOOD.replace(b"2", b"3"))
  assert [line["step"] for line in metrics.read(tmp_path)] == [2, 3]
  assert metrics.last_step(tmp_path) == 3
  assert f"warning: {path}: damaged lines are skipped: 2\n" in capsys.readouterr().err


def test_whole_and_empty_lines_are_no_damage(tmp_path, capsys):
  (tmp_path / workdir_files.METRICS).write_bytes(GOOD + b"\n  \n" + GOOD.replace(b"0.5", b"NaN"))
  assert len(metrics.read(tmp_path)) == 1
  assert capsys.readouterr().err == ""


def test_a_half_line_stays_alone(tmp_path):
  (tmp_path / workdir_files.METRICS).write_bytes(GOOD + b'{"step": 3, "lo')
  writer = metrics.MetricWriter(tmp_path, tensorboard=False)
  writer.write(4, {"loss": 1.0})
  writer.close()
  assert [line["step"] for line in metrics.read(tmp_path)] == [2, 4]


@pytest.mark.parametrize(
  "content",
  [
    b"\xff\x00",
    pytest.param(b"", marks=pytest.mark.slow),
    pytest.param(b'{"half', marks=pytest.mark.slow),
  ],
)
def test_a_run_goes_on_beside_torn_files(content, workdir, data_dir, capsys):
  names = (workdir_files.METRICS, workdir_files.MANIFEST, "config.json", workdir_files.EVALUATED)
  for name in names:
    (workdir / name).write_bytes(content)
  train.train(make_config(data_dir, 3), workdir)
  named = capsys.readouterr().err
  for name in (workdir_files.MANIFEST, workdir_files.EVALUATED):
    assert f"{workdir / name} is damaged" in named
  assert (str(workdir / workdir_files.METRICS) in named) == bool(content)
  assert [line["step"] for line in metrics.read(workdir) if "loss" in line] == [3]
  assert [start["step"] for start in manifest.read(workdir)["starts"]] == [2]
  assert json.loads((workdir / "config.json").read_text())["train"]["duration"] == "3 steps"


def test_leftovers_of_killed_processes_go_at_the_next_start(workdir, data_dir):
  for root in (workdir, workdir / "best"):
    unfinished = root / workdir_files.CHECKPOINTS / f"9{UNFINISHED}"
    unfinished.mkdir(parents=True)
    (unfinished / "file").write_text("half")
    (root / "eval").mkdir(exist_ok=True)
    for folder in (root, root / "eval", workdir / workdir_files.CHECKPOINTS / "2"):
      (folder / f".file.{'0' * 16}{files.PARTIAL}").write_text("half")
  with files.replacing(workdir / "eval" / "written_now.json") as file:
    train.train(make_config(data_dir, 3), workdir)
    file.write(b"{}")
  assert (workdir / "eval" / "written_now.json").read_bytes() == b"{}"
  left = [path.name for path in workdir.rglob("*")]
  assert not [name for name in left if UNFINISHED in name or name.endswith(files.PARTIAL)]
  assert workdir_files.LOCK not in left


def test_a_run_in_use_is_refused_and_left_alone(workdir, data_dir):
  unfinished = workdir / workdir_files.CHECKPOINTS / f"9{UNFINISHED}"
  unfinished.mkdir()
  with workdir_lock.hold(workdir):
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"is in use: process \d+ on .* is training there"):
      train.train(make_config(data_dir, 3), workdir)
    after = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    assert after == before and unfinished.exists()
    # Who only reads may.
    assert evaluate.evaluate(None, workdir)
