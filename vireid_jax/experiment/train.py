"""Trains a run: starts or continues it, loops over steps, saves and evaluates."""

import collections
import contextlib
import itertools
import pathlib
from collections.abc import Callable, Iterator

import jax
from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common import files, interrupts, progress, units, workdir_files
from vireid_jax.common.types import Batch
from vireid_jax.config import checks
from vireid_jax.config.parts import build_step
from vireid_jax.experiment import evaluate, evaluation_schedule, provenance, warm_start
from vireid_jax.experiment.build import Run, build
from vireid_jax.experiment.evaluation_schedule import Evaluations
from vireid_jax.experiment.recorder import Recorder
from vireid_jax.runtime import compilation, preemption, workdir_lock
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.runtime.timing import CHECKPOINT
from vireid_jax.training import checkpoint_folders, finite, summary
from vireid_jax.training.state import TrainState

IN_FLIGHT = 2  # dispatched steps that the devices may not have completed


class Preempted(interrupts.Stopped):
  """A signal stopped the run; its state is saved, and the same command continues it."""

  def __init__(self, message: str, name: str = ""):
    """Stores the message to the user and the name of the signal."""
    super().__init__(name)
    self._message = message

  def __str__(self) -> str:
    return self._message


def train(config: ConfigDict, workdir: pathlib.Path, *, verbose: bool = False) -> evaluate.Results:
  """Trains from the workdir's latest checkpoint, if any, and evaluates the last step.

  A finished run only prints its results again.

  Args:
    config: Config of the run; see `vireid_jax.config`.
    workdir: Folder for checkpoints, metrics and results; created if missing, and removed again if
      the training is refused before it has written anything.
    verbose: Whether to print every metric of the evaluations.

  Returns:
    The final evaluation's results by setting.

  Raises:
    UserError: Invalid input, before anything compiles; numbers that are not finite; or a workdir
      that cannot be written or in which another run trains.
    Preempted: A signal stopped the run; its state is saved.
  """
  checks.validate(config)
  with (
    files.made_workdir(workdir),
    _preempted_by_signals(workdir),
    preemption.receiving_signals(),
    workdir_lock.hold_together(workdir),
    progress.show("train"),
  ):
    clean(workdir)
    done = evaluation_schedule.finished(config, workdir, verbose=verbose)
    return done or _train(build(config, workdir), verbose)


def clean(workdir: pathlib.Path) -> None:
  """Removes the remains of killed processes from a workdir; only under its lock."""
  if jax.process_index():
    return
  checkpoint_folders.clean(workdir)
  checkpoint_folders.clean(workdir / workdir_files.BEST, keep=1)
  for root in (workdir, workdir / workdir_files.BEST):
    folders = (root / workdir_files.CHECKPOINTS).glob("*")
    files.remove_partial(root, root / workdir_files.EVALUATIONS, *folders)


def _train(run: Run, verbose: bool) -> evaluate.Results:
  state = _restore(run) or _initial_state(run)
  step = int(state.step)
  _describe(run, step)
  with contextlib.closing(Recorder(run)) as recorder:
    evaluate_step = Evaluations(run, recorder, verbose=verbose)
    if step < run.total_steps:
      if evaluate_step.is_missing(step):
        evaluate_step(state, step)
      state = _loop(run, state, recorder, evaluate_step)
    with progress.part("saving"):
      run.checkpoints.close()
    results = evaluate_step(state, int(state.step))
  run.best.close()
  return results


@contextlib.contextmanager
def _preempted_by_signals(workdir: pathlib.Path) -> Iterator[None]:
  """Turns a stop outside the loop into `Preempted`, which says what is saved."""
  try:
    yield
  except Preempted:
    raise
  except interrupts.Stopped as event:
    step = checkpoint_folders.newest(workdir)
    saved = "before the first save" if step is None else f"at step {step}; the state is saved"
    raise Preempted(f"stopped by {event.name} {saved}", event.name) from None


def make_step(run: Run) -> compilation.CompiledStep:
  """Builds a run's compiled step: (state, watch, batch, *placed) -> (state, watch, scalars)."""
  step = build_step(run.config, run.method, run.optimizer)

  def complete_and_step(state, batch, *placed):
    return step(state, run.data.complete(batch, *placed))

  return compilation.CompiledStep(finite.watched(complete_and_step), mesh=run.mesh, timer=run.timer)


def _initial_state(run: Run) -> TrainState:
  with progress.part("initialising"):
    state = warm_start.draw(run.config, run.method, run.optimizer, run.mesh, run.notices)
  if jax.process_index() == 0:
    print(summary.describe(state.variables), flush=True)
    shapes = run.workdir / workdir_files.PARAMETERS
    with files.user_errors_for_writes(run.workdir):
      files.write_text(shapes, summary.list_shapes(state.variables))
    print(f"every shape: {shapes}", flush=True)
  return state


def _describe(run: Run, step: int) -> None:
  provenance.write(run, step)
  if jax.process_index() == 0:
    with files.user_errors_for_writes(run.workdir):
      config_lib.save(run.config, run.workdir / workdir_files.CONFIG)
      units.write(run.workdir)


def _restore(run: Run) -> TrainState | None:
  step = run.checkpoints.latest()
  if step is None:
    return None
  with progress.part("restoring"):
    state = run.checkpoints.restore(step, run.abstract)
  if jax.process_index() == 0:
    print(f"continuing {run.workdir} at step {step} of {run.total_steps}", flush=True)
  return state


def _loop(
  run: Run, state: TrainState, recorder: Recorder, evaluate_step: Evaluations
) -> TrainState:
  first = int(state.step)
  recorder.begin_steps(first)
  advance, watch, batches = _prepare(run, state, recorder)
  with preemption.listen() as stop, _saves_complete(run):
    for step, batch in enumerate(batches, first + 1):
      state, watch, scalars = advance(state, watch, batch)
      due = _due(run, step, evaluating=evaluate_step.is_due(step), stopping=stop.reached(step))
      if due:
        recorder.check(step, watch, scalars)
      if "log" in due:
        recorder.log(step, scalars)
      if "checkpoint" in due:
        recorder.sync()
        _save(run, step, state)
      if "stop" in due:
        with progress.part("saving"):
          run.checkpoints.wait()
        raise Preempted(f"stopped by {stop.name} at step {step}; the state is saved", stop.name)
      if "eval" in due:
        with stop.interruptible():
          evaluate_step(state, step)
  return state


def _prepare(
  run: Run, state: TrainState, recorder: Recorder
) -> tuple[Callable, finite.NonFiniteMonitor, Iterator]:
  """Compiles the step. A signal stops it at once, since nothing can be lost yet.

  Returns:
    The step (state, watch, batch) -> (state, watch, scalars), the initial monitor, and the batches.
  """
  step_function = make_step(run)
  first = int(state.step)
  with progress.part("placing the images"):
    placed = run.data.place(run.mesh)
    watch = compilation.run_once(finite.start, out_shardings=mesh_lib.replicated(run.mesh))
    batches = run.timer.waiting(run.data.batches(first, run.total_steps, run.mesh))
    batch = next(batches)
  step_function.compile(state, watch, batch, *placed)
  in_flight, finished = collections.deque(), itertools.count(first + 1)

  def advance(state: TrainState, watch: finite.NonFiniteMonitor, batch: Batch):
    # If the host ran far ahead of the devices, it would save long after a signal.
    if len(in_flight) == IN_FLIGHT:
      jax.block_until_ready(in_flight.popleft())
      recorder.finish(next(finished))
    state, watch, scalars = step_function(state, watch, batch, *placed)
    in_flight.append(scalars)
    return state, watch, scalars

  return advance, watch, itertools.chain([batch], batches)


def _due(run: Run, step: int, *, evaluating: bool, stopping: bool) -> set[str]:
  """Returns what is due after a step: 'log', 'checkpoint', 'eval', 'stop'.

  The state is saved before an evaluation, which may take long and is abandoned on a signal. The
  last evaluation follows the loop.
  """
  last = step == run.total_steps
  due = {key for key in ("log", "checkpoint") if last or _is_due(step, run.every(key))}
  if stopping:
    return due | {"checkpoint", "stop"}
  return due | {"checkpoint", "eval"} if evaluating and not last else due


def _is_due(step: int, every: int) -> bool:
  return every > 0 and step % every == 0


@contextlib.contextmanager
def _saves_complete(run: Run) -> Iterator[None]:
  """Waits for saves in progress at the end, also if an evaluation is abandoned."""
  try:
    yield
  finally:
    with progress.part("saving"):
      run.checkpoints.wait()
      run.best.wait()


def _save(run: Run, step: int, state: TrainState) -> None:
  with run.timer.measure(CHECKPOINT), progress.part("saving"):
    run.checkpoints.save(step, state, run.meta)
