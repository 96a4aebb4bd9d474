"""Training: start or continue, loop, evaluate. No maths and no method names."""

import pathlib
import time

import jax
from ml_collections import ConfigDict

from vireid_jax import (
  compilation,
  evaluate,
  finite,
  first_state,
  gradients,
  manifest,
  metrics,
  preemption,
  storage,
)
from vireid_jax import config as config_lib
from vireid_jax import mesh as mesh_lib
from vireid_jax import train_step as train_step_lib
from vireid_jax.data import augment
from vireid_jax.data.schema import MODALITIES
from vireid_jax.methods.base import Batch
from vireid_jax.metrics import MetricWriter
from vireid_jax.models import summary
from vireid_jax.progress import Progress
from vireid_jax.run import Run, build
from vireid_jax.timing import CHECKPOINT, EVALUATION
from vireid_jax.train_state import TrainState


class Preempted(Exception):
  """The run was asked to stop; its state is saved and the same command continues it."""


def train(config: ConfigDict, workdir: pathlib.Path) -> evaluate.Results:
  """Trains, continuing from the workdir's latest checkpoint, and evaluates the last step.

  Args:
    config: see `vireid_jax.config`.
    workdir: receives checkpoints, metrics and results; made when absent.

  Returns:
    The final evaluation's results per setting.

  Raises:
    UserError: for bad input, before anything compiles; for numbers that are not finite; or a
      workdir that cannot be written.
    Preempted: when a signal asked to stop; the state is saved.
  """
  run = build(config, workdir)
  with storage.explained(workdir):
    state = _restore(run) or _initial_state(run)
    manifest.write(run, int(state.step))
    with preemption.listen() as stop:
      state = _loop(run, state, stop)
    run.checkpoints.close()
    results = _evaluate(run, state, int(state.step))
    run.best.close()
  return results


def make_augment_pair(config: ConfigDict) -> train_step_lib.Augment | None:
  """Builds the operations that both images of a pair share; None where there are none."""
  return augment.make_pair_pipeline(config.augment.pair) if config.augment.pair else None


def make_augment(config: ConfigDict) -> train_step_lib.Augment:
  """Builds the augmentation of a batch from the operations of each modality.

  It leaves masks out of what it returns: they do not follow an image that is cropped.
  """
  pipelines = {name: augment.make_pipeline(config.augment[name]) for name in MODALITIES}

  def apply(key: jax.Array, batch: Batch) -> Batch:
    keys = jax.random.split(key, len(MODALITIES))
    images = {
      name: pipelines[name](keys[index], batch[name]) for index, name in enumerate(MODALITIES)
    }
    return {**images, "label": batch["label"]}

  return apply


def make_step(run: Run) -> compilation.CompiledStep:
  """Builds the step of a run: (state, watch, batch, *placed) -> (state, watch, scalars)."""
  step = train_step_lib.make_train_step(
    run.method,
    run.optimizer,
    make_augment(run.config),
    seed=run.config.seed,
    augment_pair=make_augment_pair(run.config),
    gradient=gradients.make(
      run.method,
      remat=run.config.train.remat,
      accumulate=run.config.train.accumulate,
      images=run.config.sampler.images,
    ),
  )

  def complete_and_step(state, batch, *placed):
    return step(state, run.data.complete(batch, *placed))

  return compilation.CompiledStep(finite.watched(complete_and_step), mesh=run.mesh, timer=run.timer)


def _initial_state(run: Run) -> TrainState:
  state = first_state.draw(run.config, run.method, run.optimizer, run.mesh, run.notices)
  if jax.process_index() == 0:
    print(summary.describe(state.variables), flush=True)
    shapes = run.workdir / "parameters.tsv"
    storage.write_text(shapes, summary.list_shapes(state.variables))
    print(f"every shape: {shapes}", flush=True)
    config_lib.save(run.config, run.workdir / "config.json")
  if run.config.eval.at_start:
    _evaluate(run, state, 0, quick=run.config.eval.quick)
  return state


def _restore(run: Run) -> TrainState | None:
  step = run.checkpoints.latest()
  if step is None:
    return None
  state = run.checkpoints.restore(step, run.abstract)
  if jax.process_index() == 0:
    print(f"continuing {run.workdir} at step {step} of {run.total_steps}", flush=True)
  return state


def _loop(run: Run, state: TrainState, stop) -> TrainState:
  step_function, first = make_step(run), int(state.step)
  recorder = _Recorder(run, first)
  placed = run.data.place(run.mesh)
  watch = compilation.run_once(finite.start, out_shardings=mesh_lib.replicated(run.mesh))
  every = {key: run.every(key) for key in ("log", "checkpoint", "eval")}
  batches = run.timer.waiting(run.data.batches(first, run.total_steps, run.mesh))
  for step, batch in zip(range(first + 1, run.total_steps + 1), batches, strict=True):
    state, watch, scalars = step_function(state, watch, batch, *placed)
    last, stopping = step == run.total_steps, stop.reached(step)
    due = {key: last or _is_due(step, steps) for key, steps in every.items()}
    if stopping or any(due.values()):
      recorder.check(step, watch, scalars)
    if due["log"]:
      recorder.log(step, scalars)
    if due["checkpoint"] or stopping:
      _save(run, step, state)
    if stopping and not last:
      run.checkpoints.close()
      run.best.close()
      raise Preempted(f"stopped by {stop.name} at step {step}; the state is saved")
    if due["eval"] and not last:
      results = _evaluate(run, state, step, quick=run.config.eval.quick)
      recorder.write(step, run.evaluation.scalars(results))
  recorder.close()
  return state


class _Recorder:
  """Checks, shows and writes the scalars of a run's steps."""

  def __init__(self, run: Run, first: int):
    self._run, self._checked = run, first
    self._rate = jax.jit(run.schedule)  # one program, not an operation and a transfer per constant
    run.timer.begin_steps(first, logged=metrics.last_step(run.workdir))
    self._writer = MetricWriter(
      run.workdir, tensorboard=run.config.log.tensorboard, enabled=jax.process_index() == 0
    )
    self._progress = Progress(run.total_steps, first, run.clock.batch_images)

  def check(self, step: int, watch: finite.Watch, scalars: dict[str, jax.Array]) -> None:
    """Raises UserError when a scalar of any step so far was not finite."""
    finite.check(
      watch, scalars, since=self._checked, step=step, last_good=self._run.checkpoints.complete
    )
    self._checked = step

  def log(self, step: int, scalars: dict[str, jax.Array]) -> None:
    # A schedule counts the steps completed before.
    rate = self._rate(jax.device_put(step - 1))
    values = jax.device_get({**scalars, "lr": rate})
    values = {name: float(value) for name, value in values.items()}
    values["epoch"] = step / self._run.clock.steps_per_epoch
    self.write(step, {**values, **self._progress.rate(step), **self._run.timer.line(step)})
    self._progress.show(step, values)

  def write(self, step: int, values: dict[str, float]) -> None:
    self._writer.write(step, values)

  def close(self) -> None:
    self._progress.close()
    self._writer.close()


def _save(run: Run, step: int, state: TrainState) -> None:
  with run.timer.measure(CHECKPOINT):
    run.checkpoints.save(step, state, run.meta)


def _evaluate(run: Run, state: TrainState, step: int, *, quick=False) -> evaluate.Results:
  started = time.time()
  with run.timer.measure(EVALUATION):
    results = run.evaluation(state.variables, quick=quick)
  seconds, trained = time.time() - started, run.meta["config"]
  facts = {"trained": trained, "seconds": seconds, "quick": quick}
  evaluate.report(run.evaluation, results, run.workdir, step, **facts)
  with run.timer.measure(CHECKPOINT):
    run.best.offer(step, state, results, run.meta)
  return results


def _is_due(step: int, every: int) -> bool:
  return every > 0 and step % every == 0
