"""Keeps the best checkpoint by a metric of the periodic evaluation.

It is kept in `workdir/best`, which is itself a workdir, so that it can be evaluated like any other:
`--mode=evaluate --workdir RUN/best`.
"""

import pathlib

from vireid_jax.common.errors import UserError, choose
from vireid_jax.common.workdir_files import BEST
from vireid_jax.evaluators.results import METRICS
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.state import TrainState


class BestCheckpoint:
  """Saves each state whose metric is better than all before.

  Attributes:
    metric: 'setting/metric'; '' keeps nothing.
    value: Best value so far, in [0, 1]; minus infinity before the first.
  """

  def __init__(self, workdir: pathlib.Path, metric: str, *, first_trial: bool):
    """Opens the folder and reads the best value so far.

    Args:
      workdir: Folder of the run.
      metric: 'setting/metric', for example 'all/1-shot/random_choice/mAP'; '' keeps nothing.
      first_trial: Compare trial 0 only, because some evaluations compute no other.

    Raises:
      UserError: The folder holds a checkpoint chosen by another metric.
    """
    self.metric, self._first_trial = metric, first_trial
    self._checkpoints = Checkpoints(workdir / BEST, keep=1) if metric else None
    self._step, self.value = -1, float("-inf")
    latest = self._checkpoints.latest() if metric else None
    if latest is not None:
      best = self._checkpoints.meta(latest).get("best")
      _check_metric(workdir, best["metric"] if best else "no metric", metric)
      self._step, self.value = latest, best["value"]

  def offer(self, step: int, state: TrainState, results, meta: dict) -> bool:
    """Saves the state if its results are the best so far; returns whether it did.

    Raises:
      UserError: The evaluation has no such setting or metric.
    """
    if not self.metric:
      return False
    value = self._read(results)
    # A resumed run repeats evaluations; a repeated step can only tie with itself.
    if value <= self.value or step <= self._step:
      return False
    self._step, self.value = step, value
    best = {"metric": self.metric, "value": value, "step": step}
    self._checkpoints.save(step, state, {**meta, "best": best})
    return True

  def wait(self) -> None:
    """Waits for a save in progress."""
    if self._checkpoints:
      self._checkpoints.wait()

  def close(self) -> None:
    """Waits for a save in progress and closes the folder."""
    if self._checkpoints:
      self._checkpoints.close()

  def _read(self, results) -> float:
    setting, _, metric = self.metric.rpartition("/")
    ran = {name for name, result in results.items() if result.trials}
    known = [f"{name}/{each}" for name in ran for each in METRICS]
    said = f"config.checkpoint.keep_best = {self.metric!r} is not a metric of the evaluation"
    choose(self.metric, known, said=said)
    result = results[setting]
    return result.trials[0][metric] if self._first_trial else result.mean[metric]


def _check_metric(workdir: pathlib.Path, stored: str, wanted: str) -> None:
  if stored != wanted:
    raise UserError(
      f"{workdir / BEST} holds the best checkpoint by {stored}; config.checkpoint.keep_best is "
      f"{wanted!r}; keep the metric, or move this folder away"
    )
