"""Checks, shows and writes the scalars of a run."""

import contextlib
from collections.abc import Callable

import jax
import numpy as np

from vireid_jax.common import files, progress, workdir_files
from vireid_jax.experiment.build import Run
from vireid_jax.experiment.stagnation import Stagnation
from vireid_jax.training import finite, metrics
from vireid_jax.training.metrics import MetricWriter
from vireid_jax.training.progress import StepProgress


class Recorder:
  """Records the scalars of a run's steps and evaluations."""

  def __init__(self, run: Run):
    """Opens the workdir's metrics for appending."""
    self._run, self._checked, self._bar = run, 0, contextlib.ExitStack()
    self._rate = jax.jit(
      run.schedule
    )  # one program instead of an operation and a transfer per constant
    first = jax.process_index() == 0
    with files.user_errors_for_writes(run.workdir):
      past = metrics.read(run.workdir) if (run.workdir / workdir_files.METRICS).exists() else []
      log = run.config.log
      self._writer = MetricWriter(
        run.workdir, tensorboard=log.tensorboard, wandb=log.wandb, enabled=first
      )
    self._logged = max((line["step"] for line in past), default=0)
    self._stagnation = Stagnation(
      getattr(run.method, "trivial_values", {}), run.clock.steps_per_epoch, run.notices
    )
    for line in past:
      self._stagnation.see(line["step"], line)

  def begin_steps(self, first: int) -> None:
    """Starts timing and progress; the next step follows `first` completed ones."""
    images = self._run.clock.batch_images
    self._run.timer.begin_steps(first, images=images, logged=self._logged)
    self._checked, total = first, self._run.total_steps
    steps = progress.part("train", total, "img", done=first, scale=images)
    self._steps = StepProgress(self._bar.enter_context(steps))

  def finish(self, step: int) -> None:
    """Notes that the devices have finished a step."""
    self._steps.finish(step)

  def check(self, step: int, watch: finite.NonFiniteMonitor, scalars: dict[str, jax.Array]) -> None:
    """Raises UserError if a scalar of any step so far was not finite."""
    last_good = self._run.checkpoints.complete
    finite.check(watch, scalars, since=self._checked, step=step, last_good=last_good)
    self._checked = step

  def log(self, step: int, scalars: dict[str, jax.Array]) -> None:
    """Writes and shows the scalars of a step."""
    # A schedule takes the number of completed steps.
    rate = self._rate(jax.device_put(step - 1))
    values = jax.device_get({**scalars, "lr": rate})
    values = {name: float(value) for name, value in values.items()}
    values["epoch"] = step / self._run.clock.steps_per_epoch
    values |= self._run.timer.line(step)
    self.write(step, values)
    self._steps.show(step, values)
    self._run.notices.step = step
    self._stagnation.see(step, values)

  def write(self, step: int, values: dict[str, float]) -> None:
    """Writes the scalars of a step.

    Raises:
      UserError: The workdir cannot be written.
    """
    with files.user_errors_for_writes(self._run.workdir):
      self._writer.write(step, values)

  def draw(self, step: int, draw: Callable[[], dict[str, np.ndarray]]) -> None:
    """Passes pictures of an evaluation on to hooks; `draw` is called only if there are any."""
    with files.user_errors_for_writes(self._run.workdir):
      self._writer.draw(step, draw)

  def sync(self) -> None:
    """Syncs metrics to disk before each save, so that no checkpoint outlives its metrics."""
    with files.user_errors_for_writes(self._run.workdir):
      self._writer.sync()

  def close(self) -> None:
    """Ends the progress bar and closes the files."""
    self._bar.close()
    self._writer.close()
