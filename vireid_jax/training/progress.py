"""Progress of a run's steps."""

import datetime
from collections.abc import Mapping

import jax

from vireid_jax.common import progress
from vireid_jax.common.progress_text import Activity


class StepProgress:
  """The finished steps of a run: a bar on a terminal, elsewhere a line per log interval."""

  def __init__(self, activity: Activity):
    """Takes the activity whose pieces are the steps, with a number of images each."""
    self._activity = activity
    self._plain = jax.process_index() == 0 and not progress.draws()

  def finish(self, step: int) -> None:
    """Notes that the devices have finished a step; called for each, so it must be cheap."""
    if step > self._activity.done:
      self._activity.reach(step)

  def show(self, step: int, scalars: Mapping[str, float]) -> None:
    """Shows the scalars of a finished step: losses, speed and time left, from steps alone."""
    self.finish(step)
    losses = [f"{name} {x:.3f}" for name, x in scalars.items() if name.startswith("loss")]
    self._activity.notes = losses
    if not self._plain:
      return
    rate = scalars["images_per_second"]
    seconds = (self._activity.total - step) * self._activity.scale / max(rate, 1e-9)
    left = datetime.timedelta(seconds=round(seconds))
    text = f"step {step}/{self._activity.total}: {', '.join(losses)}, {rate:.0f} img/s"
    print(f"{text}, {left} left", flush=True)
    progress.spoken()
