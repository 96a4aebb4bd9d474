"""Two real processes on localhost train, evaluate, stop and continue as one process does."""

import json
import re
import signal
import subprocess
import sys

import config_files
import jax
import numpy as np
import pytest
from scale import processes
from scale.groups import Group

from vireid_jax.common import workdir_files
from vireid_jax.experiment import train
from vireid_jax.runtime import workdir_lock
from vireid_jax.training.checkpoint import Checkpoints

CONFIG = "configs/agw_synthetic.py:smoke"


def command(workdir, data_dir, *options):
  return [
    *(sys.executable, "-m", "vireid_jax.main", "--config", CONFIG, "--workdir", str(workdir)),
    *(f"--config.data.dir={data_dir}", "--config.log.every=1 step", *options),
    *("--config.eval.at_start=False", "--config.log.tensorboard=False"),
  ]


def train_alone(workdir, data_dir, *options):
  """Trains in one process with two devices."""
  done = subprocess.run(
    command(workdir, data_dir, *options),
    env=processes.environment(2),
    cwd=processes.ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


def parameters(workdir, data_dir, step):
  config = config_files.smoke("agw_synthetic", data_dir)
  config.log.every, config.eval.at_start, config.log.tensorboard = "1 step", False, False
  run = train.build(config, workdir)
  return run.checkpoints.restore(step, run.abstract)


def assert_same_state(one, other, data_dir, step):
  """Two summands add up to the same in either order: the states are equal, not only close."""
  jax.tree.map(
    np.testing.assert_array_equal,
    parameters(one, data_dir, step),
    parameters(other, data_dir, step),
  )


def results(workdir, step):
  record = json.loads((workdir / "eval" / f"step_{step:07d}.json").read_text())
  return {name: result["trials"] for name, result in record["results"].items()}


@pytest.mark.slow
def test_two_processes_train_and_evaluate_to_the_result_of_one(data_dir, tmp_path):
  alone, group = tmp_path / "alone", tmp_path / "group"
  train_alone(alone, data_dir)
  outcomes = Group(command(group, data_dir)).finish()
  assert [code for code, _ in outcomes] == [0, 0], outcomes
  assert_same_state(alone, group, data_dir, 4)
  assert results(alone, 4) == results(group, 4)
  # Only the first process speaks and writes.
  assert "step 4/4" in outcomes[0][1] and "step " not in outcomes[1][1]
  # Four steps and the final evaluation, once each.
  assert len((group / workdir_files.METRICS).read_text().splitlines()) == 5

  path = group / "eval" / "step_0000004.json"
  path.unlink()
  outcomes = Group(command(group, data_dir, "--mode=evaluate")).finish()
  assert [code for code, _ in outcomes] == [0, 0], outcomes
  assert results(alone, 4) == results(group, 4)


@pytest.mark.slow
def test_sigterm_to_one_makes_both_save_the_same_step_and_the_continued_run_matches(
  data_dir, tmp_path
):
  alone, group = tmp_path / "alone", tmp_path / "group"
  endless = Group(command(group, data_dir, "--config.train.duration=100000 steps"))
  assert endless.seen.wait(timeout=1500)
  endless.members[1].send_signal(signal.SIGTERM)
  outcomes = endless.finish()
  assert [code for code, _ in outcomes] == [75, 75], outcomes
  stopped = {re.search(r"stopped by SIGTERM at step (\d+)", text)[1] for _, text in outcomes}
  assert len(stopped) == 1
  step = int(stopped.pop())
  assert Checkpoints(group).latest() == step

  last = step + 3
  outcomes = Group(command(group, data_dir, f"--config.train.duration={last} steps")).finish()
  assert [code for code, _ in outcomes] == [0, 0], outcomes
  assert f"at step {step} of {last}" in outcomes[0][1]
  train_alone(alone, data_dir, f"--config.train.duration={last} steps")
  assert_same_state(alone, group, data_dir, last)
  assert results(alone, last) == results(group, last)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_ctrl_c_to_one_stops_all_after_the_same_step(count, data_dir, tmp_path):
  arguments = command(tmp_path / "run", data_dir, "--config.train.duration=100000 steps")
  group = Group(arguments, count)
  assert group.seen.wait(timeout=1500)
  group.members[count - 1].send_signal(signal.SIGINT)
  outcomes = group.finish()
  assert [code for code, _ in outcomes] == [75] * count, outcomes
  steps = {re.search(r"stopped by SIG\w+ at step (\d+)", text)[1] for _, text in outcomes}
  assert steps == {str(Checkpoints(tmp_path / "run").latest())}


@pytest.mark.slow
def test_a_second_group_is_refused_in_every_process(data_dir, tmp_path):
  (tmp_path / "run").mkdir()
  with workdir_lock.hold(tmp_path / "run"):
    outcomes = Group(command(tmp_path / "run", data_dir)).finish()
  assert [code for code, _ in outcomes] == [1, 1], outcomes
  assert all(f"{tmp_path / 'run'} is in use" in text for _, text in outcomes)
  assert not any("Traceback" in text for _, text in outcomes)


@pytest.mark.slow
def test_sigterm_reaches_a_lone_process_with_a_coordinator(data_dir, tmp_path):
  arguments = command(tmp_path / "run", data_dir, "--config.train.duration=100000 steps")
  group = Group(arguments, 1)
  assert group.seen.wait(timeout=1500)
  group.members[0].send_signal(signal.SIGTERM)
  ((code, output),) = group.finish()
  assert code == 75 and "SIGTERM: stopping" in output and "the state is saved" in output
