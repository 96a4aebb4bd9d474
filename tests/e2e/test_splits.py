"""All splits from one command: skipped when finished, continued when stopped, averaged right."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import config_files
import numpy as np
import pytest
from markdown_tables import cells

from vireid_jax.common import workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import splits, train

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def config():
  return config_files.load("agw_regdb", "smoke")


def fake_training(monkeypatch, *, fails_at=None):
  """Replaces training by a note of the split; returns the notes."""
  trained = []

  def run(config, workdir):
    workdir.mkdir(parents=True, exist_ok=True)
    if config.data.trial == fails_at:
      raise train.Preempted("stopped")
    trained.append((config.data.trial, workdir.name))

  monkeypatch.setattr(train, "train", run)
  monkeypatch.setattr(splits.report, "render", lambda items: items[0])
  return trained


def test_finished_splits_are_skipped(monkeypatch, tmp_path, config):
  trained = fake_training(monkeypatch, fails_at=3)
  with pytest.raises(train.Preempted):
    splits.train_splits(config, tmp_path, (1, 2, 3, 4))
  assert trained == [(1, "split_01"), (2, "split_02")]
  trained = fake_training(monkeypatch)
  assert splits.train_splits(config, tmp_path, (1, 2, 3, 4)) == str(tmp_path / "split_*")
  assert trained == [(3, "split_03"), (4, "split_04")]


def test_a_changed_config_is_not_finished(monkeypatch, tmp_path, config):
  trained = fake_training(monkeypatch)
  splits.train_splits(config, tmp_path, (1,))
  config.train.duration = "8 steps"
  splits.train_splits(config, tmp_path, (1,))
  assert trained == [(1, "split_01")] * 2


def test_data_without_splits_are_refused(tmp_path):
  with pytest.raises(UserError, match="the same for every split"):
    splits.train_splits(config_files.load("agw_sysu", "smoke"), tmp_path)


def start(workdir, data_dir):
  command = [sys.executable, "-m", "vireid_jax.splits", "--config", "configs/agw_regdb.py:smoke"]
  command += ["--workdir", str(workdir), "--splits", "1,2,3", f"--config.data.dir={data_dir}"]
  return subprocess.Popen(
    command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
  )


def wait_for_checkpoint(folder, process, seconds=600):
  limit = time.monotonic() + seconds
  # An unfinished save has a longer name.
  while not any(path.name.isdecimal() for path in (folder / "checkpoints").glob("*")):
    assert process.poll() is None and time.monotonic() < limit
    with contextlib.suppress(subprocess.TimeoutExpired):
      process.wait(timeout=0.2)


@pytest.mark.slow
def test_killed_in_the_middle_and_continued(tmp_path, data_dir):
  first = start(tmp_path, data_dir)
  wait_for_checkpoint(tmp_path / "split_02", first)
  first.send_signal(signal.SIGKILL)
  first.communicate()
  assert (tmp_path / "split_01" / workdir_files.FINISHED).exists()
  assert not (tmp_path / "split_02" / workdir_files.FINISHED).exists()
  finished = (tmp_path / "split_01" / "eval" / "step_0000004.json").stat().st_mtime_ns

  second = start(tmp_path, data_dir)
  text, _ = second.communicate(timeout=900)
  assert second.returncode == 0
  assert f"{tmp_path / 'split_01'} is finished" in text
  assert f"continuing {tmp_path / 'split_02'} at step" in text
  assert (tmp_path / "split_01" / "eval" / "step_0000004.json").stat().st_mtime_ns == finished

  rates = []
  for split in (1, 2, 3):
    path = tmp_path / f"split_{split:02d}" / "eval" / "step_0000004.json"
    record = json.loads(path.read_text())
    assert record["split"] == f"test_{split}"
    rates.append(record["results"]["visible_to_infrared"]["mean"]["mAP"])
  expected = f"{100 * np.mean(rates):.2f} ± {100 * np.std(rates):.2f}"
  (row,) = [row for row in cells(text) if row[1] == "agw, after_neck"]
  assert row[2] == "3 of 10 splits, 1 seed"
  assert row[7] == expected
