"""The evaluations of a run: which are due, what each leaves, and which a stop left out.

An evaluation leaves a record, a line of metrics and, where it was the best, a checkpoint. Last of
all it is noted in `evaluated.json`. The loop goes on only then, so that no checkpoint of a later
step exists without it: a run that is stopped anywhere finds the evaluation of its newest checkpoint
noted, or makes it again from the same state, with the same results.
"""

import json
import pathlib
import sys
import time

import jax
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common import files
from vireid_jax.common.workdir_files import EVALUATED
from vireid_jax.config.parts import make_clock
from vireid_jax.evaluators.results import SettingResult, format_table
from vireid_jax.experiment import evaluate
from vireid_jax.experiment.build import Run
from vireid_jax.experiment.recorder import Recorder
from vireid_jax.runtime.timing import CHECKPOINT, EVALUATION
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.state import TrainState

# What may differ between a noted evaluation and a command without making it another one.
SAME = (
  *("checkpoint.every", "checkpoint.keep", "checkpoint.keep_every", "data.dir", "data.placement"),
  *("eval.at_start", "eval.batch", "eval.every", "eval.quick", "log", "train.duration"),
)


class Evaluations:
  """Makes the evaluations of a run and notes which one was the last."""

  def __init__(self, run: Run, recorder: Recorder):
    """Reads the note of earlier starts.

    Args:
      run: whose config says when.
      recorder: gets the scalars.
    """
    self._run, self._recorder = run, recorder
    self._every, self._noted = run.every("eval"), _read_note(run.workdir)

  def is_due(self, step: int) -> bool:
    """Whether an evaluation belongs to the state after a step."""
    if step >= self._run.total_steps:
      return True
    if step == 0:
      return self._run.config.eval.at_start
    return self._every > 0 and step % self._every == 0

  def is_missing(self, step: int) -> bool:
    """Whether an evaluation is due at a step and not noted, though its state is at hand."""
    quick = self._is_quick(step)
    return self.is_due(step) and not _tells_of(self._noted, self._run.config, step, quick=quick)

  def __call__(self, state: TrainState, step: int) -> evaluate.Results:
    """Evaluates a state, offers it to `best/`, writes what is found and notes that it is done."""
    run, started, quick = self._run, time.time(), self._is_quick(step)
    with run.timer.measure(EVALUATION):
      results = run.evaluation(state.variables, quick=quick)
    seconds = time.time() - started
    with run.timer.measure(CHECKPOINT):
      run.best.offer(step, state, results, run.meta)
      run.best.wait()
    self._recorder.write(step, run.evaluation.scalars(results))
    facts = {"trained": run.meta["config"], "seconds": seconds, "quick": quick}
    if 0 < step >= run.total_steps and (text := run.evaluation.chance(results)):
      run.notices.step = step
      run.notices("chance_level", text)
      facts["notices"] = [text]
    with files.user_errors_for_writes(run.workdir):
      path = evaluate.report(run.evaluation, results, run.workdir, step, **facts)
      self._note(step, path, quick=quick)
    return results

  def _is_quick(self, step: int) -> bool:
    return self._run.config.eval.quick and step < self._run.total_steps

  def _note(self, step: int, path: pathlib.Path | None, *, quick: bool) -> None:
    record = path.relative_to(self._run.workdir).as_posix() if path else ""
    config = self._run.meta["config"]
    self._noted = {"step": step, "quick": quick, "record": record, "config": config}
    if jax.process_index() == 0:
      files.write_json(self._run.workdir / EVALUATED, self._noted)


def finished(config: ConfigDict, workdir: pathlib.Path) -> evaluate.Results | None:
  """Returns the results of a run that has nothing left to do, and prints their table again.

  Args:
    config: of the command.
    workdir: of the run.

  Returns:
    The final evaluation's results per setting; None where something is left to do or to check.
  """
  note = _read_note(workdir)
  if not note or not _is_last(note, config, workdir):
    return None
  path = workdir / note["record"]
  try:
    record = json.loads(path.read_bytes())
    stored = {name: SettingResult.from_json(value) for name, value in record["results"].items()}
    text = f"{workdir} is finished\n\n{format_table(stored, record['title'])}\n{path}\n"
  except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
    return None  # torn or moved away: the evaluation is made again
  if jax.process_index() == 0:
    print(text, flush=True)
  return stored


def _is_last(note: dict, config: ConfigDict, workdir: pathlib.Path) -> bool:
  """Whether the note tells of the final evaluation, and the checkpoint is that of its step."""
  step = note["step"]
  if not _tells_of(note, config, step, quick=False):
    return False
  checkpoints = Checkpoints(workdir, keep=None)
  if checkpoints.latest() != step:
    return False
  meta = checkpoints.meta(step)
  checkpoints.close()
  clock = make_clock(config, meta["steps_per_epoch"])
  return step >= clock.steps(config.train.duration, key="train.duration")


def _tells_of(note: dict, config: ConfigDict, step: int, *, quick: bool) -> bool:
  """Whether a note tells of this evaluation; a whole one counts for a quick look too."""
  if note.get("step") != step or note["quick"] > quick:
    return False
  return not config_lib.differences(note["config"], config_lib.to_dict(config), free=SAME)


def _read_note(workdir: pathlib.Path) -> dict:
  """Returns the note; {} where there is none or where it is damaged, and names that one."""
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
