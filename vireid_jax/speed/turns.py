"""Sides that take turns, so that a machine that slows down slows all of them down."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence


@dataclasses.dataclass
class Side:
  """Something to time.

  Attributes:
    name: unique among those that take turns.
    call: does the work once and waits until it is done.
    images: that one call handles; 0 where the work is not about images.
    facts: what is known without timing, by the name it has in the numbers.
    is_baseline: the others are compared with it.
    warm_up: seconds of the first call, which pays for pages and thread pools.
    seconds: of each timed call.
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
    """Seconds of a call."""
    return statistics.median(self.seconds)


def take_turns(sides: Sequence[Side], repeats: int) -> None:
  """Calls every side once to warm it up, then all of them in turn, `repeats` times."""
  for side in sides:
    side.warm_up = _seconds(side.call)
  for _ in range(repeats):
    for side in sides:
      side.seconds.append(_seconds(side.call))


def ratio(side: Side, baseline: Side) -> float:
  """Returns how many times the baseline's images per second a side handles.

  The median over the turns of the ratio within one turn: what else runs on the machine then counts
  for both.
  """
  pairs = zip(side.seconds, baseline.seconds, strict=True)
  within = statistics.median(theirs / ours for ours, theirs in pairs)
  return within * side.images / baseline.images


def _seconds(call: Callable[[], None]) -> float:
  started = time.perf_counter()
  call()
  return time.perf_counter() - started
