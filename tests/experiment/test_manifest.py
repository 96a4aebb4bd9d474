"""What a run leaves to be known by: manifest, seconds by purpose, and no second compilation."""

import json
import subprocess

import jax.numpy as jnp
import pytest
from toys import config as toy_config

from vireid_jax.common import workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import provenance, train
from vireid_jax.runtime import compilation, timing
from vireid_jax.runtime.mesh import make_mesh
from vireid_jax.training import metrics

SECONDS = {
  *("seconds/step", "seconds/data_wait", "seconds/compile", "seconds/evaluation"),
  "seconds/checkpoint",
}


def test_manifest_metrics_and_refused_data_of_a_continued_run(data_dir, tmp_path):
  config = toy_config.make(data_dir, steps=2)
  config.eval.every = "1 step"
  train.train(config, tmp_path)
  config.train.duration = "4 steps"
  train.train(config, tmp_path)

  starts = json.loads((tmp_path / workdir_files.MANIFEST).read_text())["starts"]
  assert [start["step"] for start in starts] == [0, 2]
  assert [start["steps"] for start in starts] == [2, 4]
  start = starts[1]
  assert start["config"]["train"]["duration"] == "4 steps"
  assert {"python", "jax", "jaxlib", "orbax-checkpoint"} <= set(start["versions"])
  assert start["devices"]["platform"] == "cpu" and start["devices"]["count"] == 1
  assert start["data"] == {
    **starts[0]["data"],
    "name": "vireid_synthetic/smoke",
    "synthetic": True,
    "identities": 10,
    "placement": "host",
  }
  assert len(start["data"]["fingerprint"]) == 16 and start["data"]["images"] > 50

  lines = [line for line in metrics.read(tmp_path) if "loss" in line]
  assert [line["step"] for line in lines] == [1, 2, 3, 4]
  for line in lines:
    assert set(line) >= SECONDS and 0 < line["goodput"] < 1
    assert line["seconds/compile"] > 0 and line["seconds/step"] > 0
  # The state of step 3 is saved before it is evaluated: the evaluation may be given up.
  assert lines[3]["seconds/checkpoint"] > 0 and lines[3]["seconds/evaluation"] > 0
  assert lines[1]["seconds/evaluation"] > 0

  run = train.build(config, tmp_path)
  run.data.fingerprint = "0" * 16
  with pytest.raises(UserError, match="differ from those of checkpoint 4"):
    from vireid_jax.experiment.build import _check_same_data

    _check_same_data(run.checkpoints, run.data, run.dataset)


def test_commit_of_a_checkout(tmp_path):
  assert provenance.commit(tmp_path) is None

  def git(*arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

  git("init")
  assert provenance.commit(tmp_path) is None
  (tmp_path / "file").write_text("1")
  git("add", "file")
  git("commit", "-m", "first")
  found = provenance.commit(tmp_path)
  assert len(found["hash"]) == 40 and not found["changed"]
  (tmp_path / "file").write_text("2")
  assert provenance.commit(tmp_path) == {**found, "changed": True}


def test_a_second_shape_is_an_error_and_compiling_is_timed():
  timer = timing.Stopwatch()
  step = compilation.CompiledStep(
    lambda state, watch, x: (state + x.sum(), watch), mesh=make_mesh(), timer=timer
  )
  state, watch = step(jnp.zeros(2), jnp.zeros(1), jnp.ones(3))
  assert timer.seconds[timing.COMPILE] > 0
  state, watch = step(state, watch, jnp.ones(3))
  assert float(state[0]) == 6
  with pytest.raises(RuntimeError, match="would have to compile a second time"):
    step(state, watch, jnp.ones(4))


def test_seconds_add_up(monkeypatch):
  now = [100.0]
  monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

  def spend(seconds, purpose=None):
    if purpose is None:
      now[0] += seconds
      return
    with timer.measure(purpose):
      now[0] += seconds

  timer = timing.Stopwatch()
  spend(3)
  spend(2, timing.EVALUATION)
  timer.begin_steps(10, images=16, logged=12)
  assert timer.seconds[timing.SETUP] == 3
  spend(1, timing.DATA_WAIT)
  spend(5, timing.COMPILE)
  spend(8)
  spend(1, timing.CHECKPOINT)
  line = timer.line(14)
  assert line == {
    "images_per_second": 7.11111,
    "seconds/step": 2.0,
    "seconds/data_wait": 0.25,
    "seconds/compile": 5,
    "seconds/evaluation": 2,
    "seconds/checkpoint": 1,
    # 8 of 20 seconds trained, half of them on steps that had been made before.
    "goodput": 0.2,
  }
  spend(4)
  assert timer.line(15)["seconds/step"] == 4.0


def test_waiting_counts_only_the_wait(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

  def slow():
    for item in range(3):
      now[0] += 1
      yield item

  timer = timing.Stopwatch()
  for _ in timer.waiting(slow()):
    now[0] += 10
  assert timer.seconds == {timing.DATA_WAIT: 3.0}
