"""What is kept, what a killed or failed save leaves, and the errors of a bad disk."""

import contextlib
import os
import pathlib
import resource
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import config as toy_config

from vireid_jax.common import files, workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import train
from vireid_jax.training import checkpoint_folders, metrics
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.state import TrainState

NOBODY = 65534


def state_of(step, size=7):
  params = {"a": jax.random.normal(jax.random.key(step), (size,))}
  return TrainState(jnp.int32(step), params, {"batch_stats": {}}, ())


def save(workdir, *steps, every=0, size=7, **options):
  checkpoints = Checkpoints(workdir, **options)
  checkpoints.keep_every(every)
  for step in steps:
    checkpoints.save(step, state_of(step, size), {"config": {}})
  checkpoints.close()
  return checkpoints.steps()


def read(workdir, step, size=7):
  sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), state_of(step, size)
  )
  return Checkpoints(workdir).restore(step, abstract)


def assert_intact(workdir, step, size=7):
  jax.tree.map(np.testing.assert_array_equal, read(workdir, step, size), state_of(step, size))


def test_the_latest_and_every_nth_are_kept(tmp_path):
  assert save(tmp_path / "latest", 1, 2, 3, 4, keep=2) == [3, 4]
  assert save(tmp_path / "every", 1, 2, 3, 4, 5, 6, 7, keep=1, every=3) == [3, 6, 7]
  assert save(tmp_path / "all", 1, 2, 3, keep=None) == [1, 2, 3]


def test_a_half_written_checkpoint_is_ignored_and_removed_by_the_next_run(tmp_path):
  save(tmp_path, 2)
  folder = tmp_path / workdir_files.CHECKPOINTS
  half = folder / "4.orbax-checkpoint-tmp"
  shutil.copytree(folder / "2", half)
  (half / "_CHECKPOINT_METADATA").unlink()
  assert Checkpoints(tmp_path).latest() == 2
  assert half.exists()  # who only reads may be beside a run that is writing it
  checkpoint_folders.clean(tmp_path)
  assert Checkpoints(tmp_path).latest() == 2
  assert not half.exists()
  assert_intact(tmp_path, 2)


@pytest.mark.parametrize(
  "missing",
  ("_CHECKPOINT_METADATA", "state/_METADATA", "state/manifest.ocdbt", "state/d", "state"),
)
def test_a_missing_file_is_named_and_the_rest_stays(missing, tmp_path):
  save(tmp_path, 2, 4, keep=2)
  path = tmp_path / workdir_files.CHECKPOINTS / "4" / missing
  shutil.rmtree(path) if path.is_dir() else path.unlink()
  with pytest.raises(UserError, match=r"checkpoint 4 in .* cannot be read: .*\[2, 4\]; move the"):
    Checkpoints(tmp_path).meta(4)
    read(tmp_path, 4)
  assert_intact(tmp_path, 2)


def test_continuing_from_a_broken_checkpoint_is_refused(data_dir, tmp_path):
  config = toy_config.make(data_dir, steps=2)
  train.train(config, tmp_path)
  shutil.rmtree(tmp_path / workdir_files.CHECKPOINTS / "2" / "state" / "d")
  before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
  config.train.duration = "4 steps"
  with pytest.raises(UserError, match=r"checkpoint 2 in .* cannot be read"):
    train.train(config, tmp_path)
  assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


@contextlib.contextmanager
def files_of_at_most(count):
  """Makes every longer file of this process fail to be written, as a full disk does."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_save_that_fails_midway_is_explained_and_damages_nothing(tmp_path):
  save(tmp_path, 1, size=1000)
  checkpoints = Checkpoints(tmp_path, keep=1)
  with files_of_at_most(100_000):
    checkpoints.save(2, state_of(2, 1_000_000), {"config": {}})
    with pytest.raises(UserError, match=r"exceed this .*Checkpoint 1 is complete and stays"):
      checkpoints.close()
  checkpoint_folders.clean(tmp_path)
  assert Checkpoints(tmp_path).steps() == [1]
  assert_intact(tmp_path, 1, 1000)


@contextlib.contextmanager
def small_disk(folder, size):
  done = subprocess.run(
    ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True
  )
  if done.returncode:
    pytest.skip("needs the right to mount")
  try:
    yield
  finally:
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_more_room_continues_it(data_dir, tmp_path):
  disk = tmp_path / "disk"
  disk.mkdir()
  config = toy_config.make(data_dir, steps=20, save=1)
  config.checkpoint.keep = 100
  with small_disk(disk, "3m"):
    with pytest.raises(UserError, match=r"the disk is full\. Checkpoint \d+ is complete") as caught:
      train.train(config, disk / "run")
    steps = Checkpoints(disk / "run").steps()
    assert f"Checkpoint {steps[-1]} is" in str(caught.value) and 0 < len(steps) < 20
    subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
    train.train(config, disk / "run")
    assert Checkpoints(disk / "run").steps() == list(range(1, 21))


@contextlib.contextmanager
def without_rights():
  """Root may write anywhere; for a while be nobody."""
  if os.geteuid():
    yield
    return
  os.seteuid(NOBODY)
  try:
    yield
  finally:
    os.seteuid(0)


def test_a_workdir_without_write_permission_is_refused_before_anything_runs(tmp_path):
  closed = tmp_path / "closed"
  closed.mkdir(mode=0o555)
  for parent in (tmp_path, *tmp_path.parents[:3]):
    parent.chmod(parent.stat().st_mode | 0o055)
  with without_rights():
    for workdir in (closed, closed / "run"):
      with pytest.raises(UserError, match="this user may not write there"):
        files.make_workdir(workdir)
  assert list(closed.iterdir()) == []
  (tmp_path / "file").touch()
  with pytest.raises(UserError, match="its path leads through a file"):
    files.make_workdir(tmp_path / "file" / "run")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
  path = tmp_path / "record.json"
  files.write_text(path, "old")

  def fail(_):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(files.os, "fsync", fail)
  with pytest.raises(UserError, match="the disk is full"), files.user_errors_for_writes(tmp_path):
    files.write_text(path, "new")
  assert path.read_text() == "old"


def test_metrics_survive_a_line_that_a_killed_run_left_unfinished(tmp_path):
  path = pathlib.Path(tmp_path / workdir_files.METRICS)
  path.write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
  writer = metrics.MetricWriter(tmp_path, tensorboard=False)
  writer.write(2, {"loss": 2.0})
  writer.close()
  assert [(line["step"], line["loss"]) for line in metrics.read(tmp_path)] == [(1, 1), (2, 2)]
  assert metrics.last_step(tmp_path) == 2 and metrics.last_step(tmp_path / "none") == 0
