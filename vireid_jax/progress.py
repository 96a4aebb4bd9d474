"""What a person sees while a run trains."""

import datetime
import sys
import time
from collections.abc import Mapping

import jax


class Progress:
  """A bar on a terminal, a line per log interval elsewhere; silent off the first process."""

  def __init__(self, total: int, first: int, images_per_step: int):
    """Starts the clock of a run of `total` steps that begins after step `first`."""
    from tqdm import tqdm  # what only measures a step does without

    self._total, self._images = total, images_per_step
    self._visible = jax.process_index() == 0
    self._bar = tqdm(
      total=total,
      initial=first,
      unit="step",
      desc="train",
      disable=not (self._visible and sys.stderr.isatty()),
    )
    self._step, self._time = first, time.time()
    self._rate = 0.0

  def rate(self, step: int) -> dict[str, float]:
    """Measures images per second since the last call."""
    now = time.time()
    self._rate = (step - self._step) * self._images / max(now - self._time, 1e-9)
    self._step, self._time = step, now
    return {"images_per_second": round(self._rate, 1)}

  def show(self, step: int, scalars: Mapping[str, float]) -> None:
    """Shows losses, speed and the time left."""
    losses = {name: f"{value:.3f}" for name, value in scalars.items() if name.startswith("loss")}
    if not self._bar.disable:
      self._bar.set_postfix({**losses, "img/s": f"{self._rate:.0f}"}, refresh=False)
      self._bar.update(step - self._bar.n)
    elif self._visible:
      left = (self._total - step) * self._images / max(self._rate, 1e-9)
      text = ", ".join(f"{name} {value}" for name, value in losses.items())
      print(
        f"step {step}/{self._total}: {text}, {self._rate:.0f} img/s, "
        f"{datetime.timedelta(seconds=round(left))} left",
        flush=True,
      )

  def close(self) -> None:
    """Ends the bar."""
    self._bar.close()
