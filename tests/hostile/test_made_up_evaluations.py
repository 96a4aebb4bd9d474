"""An evaluation that a stop or a kill left out is made up, wherever in it the end came."""

import json
import os
import shutil
import signal

import pytest
from scale import evaluated_runs
from scale.test_killed_evaluations import assert_same_run, lines_of

from vireid_jax.common import workdir_files
from vireid_jax.experiment import evaluate, recorder, train
from vireid_jax.experiment.evaluation_schedule import Evaluations
from vireid_jax.training import best as best_lib

STEPS = 8


class Killed(BaseException):
  """Ends a run in the middle of a function."""


def make_config(data_dir):
  config = evaluated_runs.make_config(data_dir)
  config.train.duration = f"{STEPS} steps"
  config.checkpoint.every, config.eval.every = "4 steps", "3 steps"
  return config


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
  """The root of an uninterrupted run."""
  root = tmp_path_factory.mktemp("whole")
  train.train(make_config(data_dir), root / "run")
  (root / "data").symlink_to(data_dir)
  return root


def end_in(monkeypatch, place, name, step):
  """Has the first call of a function for a step end the run, before or after it did its work."""
  name, _, after = name.partition(" ")
  function = getattr(place, name)

  def ending(*arguments, **options):
    is_meant = step in [argument for argument in arguments if isinstance(argument, int)]
    if is_meant and not after:
      raise Killed
    result = function(*arguments, **options)
    if is_meant:
      raise Killed
    return result

  monkeypatch.setattr(place, name, ending)


POINTS = {
  "begun": (Evaluations, "__call__"),  # its checkpoint is written, nothing else
  "offered": (best_lib.BestCheckpoint, "offer after"),
  "in the metrics": (recorder.Recorder, "write after"),
  "recorded": (evaluate, "report after"),
  "noted": (Evaluations, "_note after"),
}
FAST = (("begun", STEPS), ("recorded", 3))
KILLS = [
  pytest.param(*POINTS[point], step, marks=() if (point, step) in FAST else pytest.mark.slow)
  for point in POINTS
  for step in (0, 3, STEPS)
]


@pytest.mark.parametrize(("place", "name", "step"), KILLS)
def test_a_kill_in_an_evaluation(place, name, step, whole, tmp_path, monkeypatch, data_dir):
  config = make_config(data_dir)
  with monkeypatch.context() as patch:
    end_in(patch, place, name, step)
    with pytest.raises(Killed):
      train.train(config, tmp_path / "run")
  train.train(config, tmp_path / "run")
  (tmp_path / "data").symlink_to(data_dir)
  assert_same_run(tmp_path, whole)


def signal_in(monkeypatch, place, name, step, number=signal.SIGTERM):
  """Has a signal come when a function is called for a step."""
  function = getattr(place, name)

  def signalled(*arguments, **options):
    if step in [argument for argument in arguments if isinstance(argument, int)]:
      os.kill(os.getpid(), number)
    return function(*arguments, **options)

  monkeypatch.setattr(place, name, signalled)


slow = pytest.mark.slow
STOPS = (
  pytest.param(Evaluations, "__call__", 3, "at step 3"),
  # Heard at the end of the step it came in.
  pytest.param(recorder.Recorder, "check", 3, "at step 3", marks=slow),
  pytest.param(recorder.Recorder, "check", STEPS, f"at step {STEPS}", marks=slow),
  pytest.param(Evaluations, "__call__", STEPS, f"at step {STEPS}", marks=slow),
  pytest.param(Evaluations, "__call__", 0, "before the first save", marks=slow),
  pytest.param(best_lib.BestCheckpoint, "offer", 3, "at step 3", marks=slow),
)


@pytest.mark.parametrize(("place", "name", "step", "saved"), STOPS)
def test_a_stop(place, name, step, saved, whole, tmp_path, monkeypatch, data_dir):
  config = make_config(data_dir)
  with monkeypatch.context() as patch:
    signal_in(patch, place, name, step)
    with pytest.raises(train.Preempted, match=f"stopped by SIGTERM {saved}"):
      train.train(config, tmp_path / "run")
  train.train(config, tmp_path / "run")
  (tmp_path / "data").symlink_to(data_dir)
  assert_same_run(tmp_path, whole)


def test_a_finished_run_prints_its_table_and_does_nothing(whole, data_dir, capsys, monkeypatch):
  config = make_config(data_dir)
  before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
  with monkeypatch.context() as patch:
    patch.setattr(train, "build", lambda *_: pytest.fail("built a run"))
    results = train.train(config, whole / "run")
  text = capsys.readouterr().out
  record = json.loads((whole / "run" / RECORD).read_text())
  assert text.startswith(f"{whole / 'run'} is finished\n") and record["title"] in text
  assert {name: result.to_json() for name, result in results.items()} == record["results"]
  assert {path: path.stat().st_mtime_ns for path in before} == before


NOTE, RECORD = workdir_files.EVALUATED, "eval/step_0000008.val.json"
TORN = (b"", b"{", b"\xff", b"5", b"[" * 9999)


@pytest.mark.parametrize(
  ("name", "content"),
  [
    pytest.param(NOTE, b'{"step": 8}', marks=slow),
    (RECORD, b'{"step": '),
    *(pytest.param(name, content, marks=slow) for name in (NOTE, RECORD) for content in TORN),
  ],
)
def test_a_torn_note_or_record_is_made_again(name, content, whole, data_dir, tmp_path):
  shutil.copytree(whole / "run", tmp_path / "run")
  (tmp_path / "run" / name).write_bytes(content)
  train.train(make_config(data_dir), tmp_path / "run")
  for path in (NOTE, RECORD):
    one, other = (json.loads((root / "run" / path).read_text()) for root in (tmp_path, whole))
    one.pop("seconds", None), other.pop("seconds", None)
    assert one == other


def test_other_conditions_are_another_evaluation(whole, data_dir, tmp_path):
  shutil.copytree(whole / "run", tmp_path / "run")
  config = make_config(data_dir)
  config.eval.flip = True
  train.train(config, tmp_path / "run")
  assert len(list((tmp_path / "run/eval").glob("step_0000008.val*.json"))) == 2


def test_the_curve_of_a_run_begins_and_ends_with_an_evaluation(whole):
  steps = [line["step"] for line in lines_of(whole / "run") if "loss" not in line]
  assert steps == [0, 3, 6, STEPS]
