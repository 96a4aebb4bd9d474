"""Progress of a run on the terminal."""

import datetime
import sys
from collections.abc import Mapping

import jax


class Progress:
  """A bar on a terminal, otherwise a line per log interval; only on the first process."""

  def __init__(self, total: int, first: int, images_per_step: int):
    """Starts the bar of a run of `total` steps that begins after step `first`."""
    from tqdm import tqdm  # benchmarks of a step do not need it

    self._total, self._images = total, images_per_step
    self._visible = jax.process_index() == 0
    self._bar = tqdm(
      total=total,
      initial=first,
      unit="step",
      desc="train",
      disable=not (self._visible and sys.stderr.isatty()),
    )

  def show(self, step: int, scalars: Mapping[str, float]) -> None:
    """Shows losses, speed and time left, which does not include evaluations."""
    rate = scalars["images_per_second"]
    losses = {name: f"{value:.3f}" for name, value in scalars.items() if name.startswith("loss")}
    if not self._bar.disable:
      self._bar.set_postfix({**losses, "img/s": f"{rate:.0f}"}, refresh=False)
      self._bar.update(step - self._bar.n)
    elif self._visible:
      left = (self._total - step) * self._images / max(rate, 1e-9)
      text = ", ".join(f"{name} {value}" for name, value in losses.items())
      print(
        f"step {step}/{self._total}: {text}, {rate:.0f} img/s, "
        f"{datetime.timedelta(seconds=round(left))} left",
        flush=True,
      )

  def close(self) -> None:
    """Ends the bar."""
    self._bar.close()
