"""Killed and stopped at random moments, a run leaves all that the uninterrupted one leaves."""

import json
import signal

import numpy as np
import pytest
from scale import evaluated_runs, processes
from scale.test_killed_runs import assert_equal, wait

from vireid_jax.common import files, interrupts, workdir_files
from vireid_jax.experiment import manifest, train
from vireid_jax.training import metrics
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.checkpoint_folders import UNFINISHED

KILLS, STOPS = 20, 10
SPEEDS = ("time", "images_per_second", "goodput")


def start(root):
  return processes.start("evaluated_runs.py", root / "data", root / "run")


def lines_of(workdir):
  """Returns the metrics apart from times and speeds."""
  return [
    {key: value for key, value in line.items() if not key.startswith(("seconds/", *SPEEDS))}
    for line in metrics.read(workdir)
  ]


def records_of(workdir):
  """Returns all records apart from the time they took and where the data are."""
  found = {}
  for path in sorted((workdir / "eval").iterdir()):
    record = json.loads(path.read_text())
    assert record.pop("seconds") >= 0
    for config in (record["config"], record["trained"]):
      config["data"].pop("dir")
    found[path.name] = record
  return found


def assert_same_checkpoint(config, workdir, other, abstract):
  """Compares the newest checkpoints: parameters, statistics, optimiser and what is said of them."""
  step = Checkpoints(workdir).latest()
  assert step == Checkpoints(other).latest()
  assert_equal(
    Checkpoints(workdir).restore(step, abstract), Checkpoints(other).restore(step, abstract)
  )
  metas = [Checkpoints(folder).meta(step) for folder in (workdir, other)]
  for meta in metas:
    meta["config"]["data"].pop("dir")
  assert metas[0] == metas[1]


def assert_same_run(root, other):
  config = evaluated_runs.make_config(root / "data")
  abstract = train.build(config, root / "run").abstract
  for folder in ("run", "run/best"):
    assert_same_checkpoint(config, root / folder, other / folder, abstract)
  assert Checkpoints(root / "run/best").steps() == Checkpoints(other / "run/best").steps()
  one, two = root / "run", other / "run"
  assert lines_of(one) == lines_of(two)
  assert records_of(one) == records_of(two)
  assert manifest.read(one)["notices"] == manifest.read(two)["notices"]


def live(process, workdir, rng):
  """Lets a process live for a random while: of its start in every third life, else of steps."""
  if rng.random() < 0.33:
    wait(process, rng.uniform(0.5, 6))
    return
  goal = metrics.last_step(workdir) + rng.integers(1, 30)
  size = 0
  for _ in range(3000):
    wait(process, 0.02)
    path = workdir / workdir_files.METRICS
    if path.exists() and path.stat().st_size != size:
      size = path.stat().st_size
      if metrics.last_step(workdir) >= goal:
        break
  wait(process, rng.uniform(0, 0.3))


def end(process, number):
  process.send_signal(number)
  output, errors = process.communicate()
  if number == signal.SIGKILL:
    assert process.returncode == -number, errors
  else:
    assert process.returncode == interrupts.EXIT_STOPPED, output + errors
    assert "SIGTERM: stopping" in errors
  assert "Traceback" not in errors, errors


@pytest.mark.slow
def test_twenty_kills_and_ten_stops(tmp_path):
  whole, ended = tmp_path / "whole", tmp_path / "ended"
  for root in (whole, ended):
    (root / "data").mkdir(parents=True)
  output, errors = start(whole).communicate()
  assert "mAP" in output, errors
  rng = np.random.default_rng(0)
  reached = [0]
  for number in rng.permutation([signal.SIGKILL] * KILLS + [signal.SIGTERM] * STOPS):
    process = start(ended)
    live(process, ended / "run", rng)
    end(process, int(number))
    if (ended / "run").exists():
      reached.append(Checkpoints(ended / "run").latest() or 0)
  print("checkpoints reached:", reached)
  assert reached == sorted(reached) and 0 < reached[-1] < evaluated_runs.STEPS
  process = start(ended)
  output, errors = process.communicate()
  assert process.returncode == 0, output + errors
  assert_same_run(whole, ended)
  left = [path.name for path in ended.rglob("*")]
  assert not [name for name in left if UNFINISHED in name or name.endswith(files.PARTIAL)]
  assert not [name for name in left if "incomplete" in name]
