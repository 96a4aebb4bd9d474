"""Schedules the evaluations of a run, and repeats those that a stop interrupted.

An evaluation writes a record, a line of metrics and, if it is the best, a checkpoint. Finally it is
noted in `evaluated.json`, and only then does the loop continue, so that no checkpoint of a later
step exists without the note. A run that is stopped anywhere finds the evaluation of its newest
checkpoint noted, or repeats it from the same state with the same results.
"""

import json
import math
import pathlib
import sys
import time

import jax
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common import files, progress
from vireid_jax.common.errors import printable
from vireid_jax.common.workdir_files import BEST, EVALUATED
from vireid_jax.config.parts import make_clock
from vireid_jax.evaluators.results import SettingResult
from vireid_jax.experiment import evaluate
from vireid_jax.experiment.build import Run
from vireid_jax.experiment.recorder import Recorder
from vireid_jax.runtime.timing import CHECKPOINT, EVALUATION
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.state import TrainState

# Keys that may differ between a noted evaluation and a command.
SAME = (
  *("checkpoint.every", "checkpoint.keep", "checkpoint.keep_every", "data.dir", "data.placement"),
  *("eval.at_start", "eval.batch", "eval.every", "eval.quick", "log", "train.duration"),
)


class Evaluations:
  """Evaluates a run when due, and notes the last evaluation."""

  def __init__(self, run: Run, recorder: Recorder, *, verbose: bool = False):
    """Reads the note of earlier starts.

    Args:
      run: Run to evaluate.
      recorder: Recorder of the scalars.
      verbose: Whether to print every metric.
    """
    self._run, self._recorder, self._verbose = run, recorder, verbose
    self._every, self._noted = run.every("eval"), _read_note(run.workdir)

  def is_due(self, step: int) -> bool:
    """Returns whether an evaluation is due after a step."""
    if step >= self._run.total_steps:
      return True
    if step == 0:
      return self._run.config.eval.at_start
    return self._every > 0 and step % self._every == 0

  def is_missing(self, step: int) -> bool:
    """Returns whether an evaluation is due after a step but not noted."""
    quick = self._is_quick(step)
    return self.is_due(step) and not _is_note_of(self._noted, self._run.config, step, quick=quick)

  def __call__(self, state: TrainState, step: int) -> evaluate.Results:
    """Evaluates a state, offers it to `best/`, writes the results and notes completion."""
    run, started, quick = self._run, time.time(), self._is_quick(step)
    with run.timer.measure(EVALUATION), progress.part("evaluating"):
      features = run.evaluation.embed(state.variables)
      results = run.evaluation(state.variables, features=features, quick=quick)
    seconds = time.time() - started
    with run.timer.measure(CHECKPOINT), progress.part("saving"):
      best, is_best = run.best.value, run.best.offer(step, state, results, run.meta)
      run.best.wait()
    self._recorder.write(step, run.evaluation.scalars(results))
    self._recorder.draw(step, lambda: run.evaluation.ranked_lists(features))
    facts = {"trained": run.meta["config"], "seconds": seconds, "quick": quick}
    facts["verbose"] = self._verbose
    if 0 < step >= run.total_steps and (text := run.evaluation.chance(results)):
      run.notices.step = step
      run.notices("chance_level", text)
      facts["notices"] = [text]
    with files.user_errors_for_writes(run.workdir):
      path = evaluate.report(run.evaluation, results, run.workdir, step, **facts)
      self._note(step, path, quick=quick)
    if is_best and jax.process_index() == 0:
      print(_describe_best(run, best), flush=True)
    return results

  def _is_quick(self, step: int) -> bool:
    return self._run.config.eval.quick and step < self._run.total_steps

  def _note(self, step: int, path: pathlib.Path | None, *, quick: bool) -> None:
    record = path.relative_to(self._run.workdir).as_posix() if path else ""
    config = self._run.meta["config"]
    self._noted = {"step": step, "quick": quick, "record": record, "config": config}
    if jax.process_index() == 0:
      files.write_json(self._run.workdir / EVALUATED, self._noted)


def _describe_best(run: Run, before: float) -> str:
  """Returns the line that announces a new best checkpoint, in percent."""
  said = "" if math.isinf(before) else f" (before {100 * before:.2f} %)"
  place = printable(str(run.workdir / BEST))
  return f"new best checkpoint: {run.best.metric} {100 * run.best.value:.2f} %{said}, in {place}"


def finished(
  config: ConfigDict, workdir: pathlib.Path, *, verbose: bool = False
) -> evaluate.Results | None:
  """Returns the results of a finished run, and prints them again.

  Args:
    config: Config of the command.
    workdir: Folder of the run.
    verbose: Whether to print every metric.

  Returns:
    The final evaluation's results by setting; None if the run is not known to be finished.
  """
  note = _read_note(workdir)
  if not note or not _is_last(note, config, workdir):
    return None
  path = workdir / note["record"]
  try:
    record = json.loads(path.read_bytes())
    stored = {name: SettingResult.from_json(value) for name, value in record["results"].items()}
    table = evaluate.text_of(stored, record, workdir, verbose=verbose)
    text = f"{workdir} is finished\n\n{table}\n{path}\n"
  except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
    return None  # truncated or moved away: the evaluation is repeated
  if jax.process_index() == 0:
    print(text, flush=True)
  return stored


def _is_last(note: dict, config: ConfigDict, workdir: pathlib.Path) -> bool:
  """Returns whether a note is of the final evaluation and its checkpoint exists."""
  step = note["step"]
  if not _is_note_of(note, config, step, quick=False):
    return False
  checkpoints = Checkpoints(workdir, keep=None)
  if checkpoints.latest() != step:
    return False
  meta = checkpoints.meta(step)
  checkpoints.close()
  clock = make_clock(config, meta["steps_per_epoch"])
  return step >= clock.steps(config.train.duration, key="train.duration")


def _is_note_of(note: dict, config: ConfigDict, step: int, *, quick: bool) -> bool:
  """Returns whether a note is of this evaluation; a full one also counts as a quick one."""
  if note.get("step") != step or note["quick"] > quick:
    return False
  return not config_lib.differences(note["config"], config_lib.to_dict(config), free=SAME)


def _read_note(workdir: pathlib.Path) -> dict:
  """Returns the note; {} if it is missing, or damaged, which is reported."""
  path = workdir / EVALUATED
  if not path.exists():
    return {}
  kinds = {"step": int, "quick": bool, "record": str, "config": dict}
  try:
    note = json.loads(path.read_bytes())
    if all(type(note[key]) is kind for key, kind in kinds.items()):
      return note
  except (OSError, ValueError, KeyError, TypeError, RecursionError):
    pass
  if jax.process_index() == 0:
    print(f"warning: {path} is damaged and skipped", file=sys.stderr, flush=True)
  return {}
