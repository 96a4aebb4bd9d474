"""A run that is killed anywhere continues as if nothing had happened."""

import json
import signal
import subprocess
import time

import jax
import numpy as np
import pytest
from scale import processes, short_runs

from vireid_jax import methods
from vireid_jax.common import workdir_files
from vireid_jax.experiment import train
from vireid_jax.training import metrics
from vireid_jax.training.checkpoint import Checkpoints

KILLS = 20
STEPS = 500
MOST_STEPS_OF_A_LIFE = 20


def start(data_dir, workdir, **options):
  arguments = {"data_dir": str(data_dir), "workdir": str(workdir), **options}
  return processes.start("short_runs.py", json.dumps(arguments))


def assert_equal(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


def check_kill_in_the_middle(data_dir, root, method, optimizer, placements):
  """20 steps, killed at step 16 and continued from step 14, against 20 uninterrupted ones.

  The whole run reads its images from memory, the killed ones from each placement.
  """
  options = {"method": method, "optimizer": optimizer, "steps": 20, "save": 7}
  config = short_runs.make_config(data_dir, **options)
  train.train(config, root / "whole")
  whole = short_runs.final_state(config, root / "whole", 20)
  for placement in placements:
    workdir = root / placement
    process = start(data_dir, workdir, kill_at=16, placement=placement, **options)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    assert Checkpoints(workdir).latest() == 14 and metrics.last_step(workdir) == 16
    config = short_runs.make_config(data_dir, placement=placement, **options)
    train.train(config, workdir)
    assert_equal(short_runs.final_state(config, workdir, 20), whole)


def test_a_killed_toy_continues_from_disk(data_dir, tmp_path):
  check_kill_in_the_middle(data_dir, tmp_path, short_runs.TOY, "adam", ("stream",))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ("sgd", "adam"))
@pytest.mark.parametrize("method", (*methods.names(), "cajplus", "dns:strong"))
def test_twenty_steps_with_a_kill_equal_twenty_without(method, optimizer, data_dir, tmp_path):
  check_kill_in_the_middle(data_dir, tmp_path, method, optimizer, ("host", "stream"))


def wait(process, seconds):
  """Waits; the process must not end by itself."""
  try:
    process.wait(timeout=seconds)
  except subprocess.TimeoutExpired:
    return
  pytest.fail(f"ended with {process.returncode}: {process.communicate()[1]}")


def live_until(process, workdir, rng):
  """Lets a process live for a random while: of its start in every fourth life, else of steps."""
  if rng.random() < 0.25:
    wait(process, rng.uniform(0, 3))
    return
  goal = metrics.last_step(workdir) + rng.integers(1, MOST_STEPS_OF_A_LIFE)
  begun = time.time()
  # A continued run repeats the steps after its checkpoint: count lines of this life only.
  while not any(line["step"] >= goal and line["time"] > begun for line in _lines(workdir)):
    wait(process, 0.02)
  wait(process, rng.uniform(0.001, 0.1))


def _lines(workdir):
  return metrics.read(workdir) if (workdir / workdir_files.METRICS).exists() else []


@pytest.mark.slow
def test_twenty_kills_at_random_moments(data_dir, tmp_path):
  options = {"steps": STEPS, "save": 3, "optimizer": "adam"}
  config = short_runs.make_config(data_dir, **options)
  train.train(config, tmp_path / "whole")
  workdir, rng, reached = tmp_path / "killed", np.random.default_rng(0), []
  for _ in range(KILLS):
    process = start(data_dir, workdir, **options)
    live_until(process, workdir, rng)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    reached.append(Checkpoints(workdir).latest() or 0)
  assert reached == sorted(reached) and 0 < reached[-1] < STEPS
  process = start(data_dir, workdir, **options)
  output, errors = process.communicate()
  assert process.returncode == 0, errors
  assert f"continuing {workdir} at step {reached[-1]} of {STEPS}" in output
  assert_equal(
    short_runs.final_state(config, workdir, STEPS),
    short_runs.final_state(config, tmp_path / "whole", STEPS),
  )
