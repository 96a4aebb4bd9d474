"""The main command in its short form, in a folder of its own: train, again, evaluate, report."""

import os
import subprocess
import sys

import config_files
import pytest

CONFIG = ("--config", "configs/mun_sysu.py:smoke")
FOLDER = "runs/mun_sysu-smoke"


@pytest.fixture
def call(tmp_path, data_dir):
  """Runs `python -m vireid_jax.main` in a folder that has the configs."""
  (tmp_path / "configs").symlink_to(config_files.FOLDER)
  environment = {
    **os.environ,
    "TFDS_DATA_DIR": str(data_dir),
    "PYTHONPATH": str(config_files.FOLDER.parent),
  }

  def run(*arguments):
    command = [sys.executable, "-m", "vireid_jax.main", *arguments]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

  return run


def table(output):
  """The rows of the evaluation's table."""
  rows = [line for line in output.splitlines() if line.startswith(("all/", "indoor/"))]
  return [row for row in rows if "," not in row]


@pytest.mark.slow
def test_the_short_form_trains_evaluates_and_finds_its_run_again(call, tmp_path):
  first = call(*CONFIG)
  assert first.returncode == 0, first.stderr
  assert first.stdout.splitlines()[0] == f"workdir: {FOLDER} (change it with --workdir)"
  assert (tmp_path / FOLDER / "checkpoints" / "4").is_dir()
  rows = table(first.stdout)
  assert len(rows) == 8
  for again in (call(*CONFIG), call(*CONFIG, "--mode=evaluate"), call("--mode=evaluate", *CONFIG)):
    assert again.returncode == 0, again.stderr
    assert table(again.stdout) == rows
  for report in (call(*CONFIG, "--mode=report"), call("--mode=report")):
    assert report.returncode == 0, report.stderr
    assert "sysu_mm01 (synthetic images)" in report.stdout and "workdir:" not in report.stdout
  other = call(*CONFIG, "--config.seed=1")
  assert other.returncode == 1
  assert "choose another --workdir" in other.stderr and "seed: 0 -> 1" in other.stderr
  assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mun_sysu-smoke"]
