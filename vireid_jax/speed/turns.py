"""Times several sides in turn, so that slow phases of the machine affect all of them."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

from vireid_jax.common import progress


@dataclasses.dataclass
class Side:
  """A piece of work to time.

  Attributes:
    name: Unique name.
    call: Function that does the work once and waits for the result.
    images: Number of images per call; 0 if the work is not about images.
    facts: Numbers known without timing, by name.
    is_baseline: Whether other sides are compared with this one.
    warm_up: Seconds of the first call, which includes page faults and the start of threads.
    seconds: Seconds of each timed call.
  """

  name: str
  call: Callable[[], None]
  images: int = 0
  facts: dict = dataclasses.field(default_factory=dict)
  is_baseline: bool = False
  warm_up: float = 0.0
  seconds: list[float] = dataclasses.field(default_factory=list)

  @property
  def median(self) -> float:
    """Median seconds of a call."""
    return statistics.median(self.seconds)


def take_turns(sides: Sequence[Side], repeats: int) -> None:
  """Calls each side once to warm up, then all of them in turn, `repeats` times."""
  for side in progress.tracked(sides, "warming up"):
    side.warm_up = _seconds(side.call)
  for side in progress.tracked(list(sides) * repeats, "timing"):
    side.seconds.append(_seconds(side.call))


def ratio(side: Side, baseline: Side) -> float:
  """Returns a side's images per second divided by the baseline's.

  This is the median of the ratios within each turn, so that other load on the machine affects both.
  """
  pairs = zip(side.seconds, baseline.seconds, strict=True)
  within = statistics.median(theirs / ours for ours, theirs in pairs)
  return within * side.images / baseline.images


def _seconds(call: Callable[[], None]) -> float:
  started = time.perf_counter()
  call()
  return time.perf_counter() - started
