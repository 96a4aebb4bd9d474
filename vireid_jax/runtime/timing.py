"""Where a run's time goes: seconds by purpose, and the share spent on training."""

import collections
import contextlib
import time
from collections.abc import Iterable, Iterator

# What a run spends time on besides its steps.
SETUP, COMPILE, DATA_WAIT = "setup", "compile", "data_wait"
EVALUATION, CHECKPOINT = "evaluation", "checkpoint"


class Stopwatch:
  """Sums seconds by purpose; the rest of the wall time is spent on steps.

  Attributes:
    seconds: Seconds so far, by purpose.
  """

  def __init__(self):
    """Starts; the time until the first `begin_steps` counts as set-up."""
    self._started = time.perf_counter()
    self.seconds = collections.Counter()
    self._line = (0, self._started, collections.Counter())
    self._repeated = self._images = 0

  @contextlib.contextmanager
  def measure(self, purpose: str) -> Iterator[None]:
    """Counts the time inside the context to a purpose."""
    started = time.perf_counter()
    try:
      yield
    finally:
      self.seconds[purpose] += time.perf_counter() - started

  def waiting(self, batches: Iterable) -> Iterator:
    """Yields from an iterable, counting the time until each item as waiting for data."""
    iterator, end = iter(batches), object()
    while True:
      with self.measure(DATA_WAIT):
        item = next(iterator, end)
      if item is end:
        return
      yield item

  def begin_steps(self, step: int, *, images: int, logged: int) -> None:
    """Ends the set-up.

    Args:
      step: Number of steps completed.
      images: Images per step, both modalities together.
      logged: Newest step in the metrics of an earlier process. If it was killed after its last
        checkpoint, the steps up to there are repeated.
    """
    now = time.perf_counter()
    self.seconds[SETUP] += now - self._started - sum(self.seconds.values())
    self._line = (step, now, self.seconds.copy())
    self._first, self._repeated, self._images = step, max(logged - step, 0), images

  def line(self, step: int) -> dict[str, float]:
    """Returns the scalars of a log line.

    Returns:
      'images_per_second', over steps and data waits; 'seconds/step' and 'seconds/data_wait', means
      per step since the last line; 'seconds/compile', 'seconds/evaluation' and
      'seconds/checkpoint', totals of this process; 'goodput', in [0, 1].
    """
    now, (last, then, before) = time.perf_counter(), self._line
    spent = self.seconds - before
    self._line = (step, now, self.seconds.copy())
    steps = max(step - last, 1)
    training = max(now - then - spent.total(), 0.0) / steps
    waiting = spent[DATA_WAIT] / steps
    values = {
      "images_per_second": self._images / max(training + waiting, 1e-9),
      "seconds/step": training,
      "seconds/data_wait": waiting,
      **{f"seconds/{name}": self.seconds[name] for name in (COMPILE, EVALUATION, CHECKPOINT)},
      "goodput": self.goodput(step),
    }
    return {name: round(value, 5) for name, value in values.items()}

  def goodput(self, step: int) -> float:
    """Returns the share of this process's time spent on steps that no earlier process had done."""
    wall = time.perf_counter() - self._started
    done = max(step - self._first, 1)
    new = max(done - self._repeated, 0) / done
    return max(wall - self.seconds.total(), 0.0) / wall * new
