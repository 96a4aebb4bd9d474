"""The text of an activity: for a line of given length on a terminal, and for a log file."""

import collections
import sys
import time
from collections.abc import Sequence

from vireid_jax.common.errors import printable

BAR = 10  # least columns of a bar
SAMPLES = 20  # over which the rate is a mean


class Activity:
  """Something that takes a while, as a number of pieces of work.

  The clock stands still while a part of it is shown, so rate and time left come from the work
  alone.

  Attributes:
    what: What is done.
    total: Number of pieces; 0 if unknown.
    done: Number of pieces that are done.
    scale: Units in a piece.
    notes: Texts shown at the end of the line where they fit, the most important first.
  """

  def __init__(self, what: str, total: int = 0, unit: str = "", *, done: int = 0, scale: float = 1):
    """Starts the clock; see `progress.show` for the arguments."""
    self.what, self.total, self.done = what, total, done
    self.notes: Sequence[str] = ()
    self._unit, self.scale = unit, scale
    self._spent, self._since = 0.0, time.perf_counter()
    self._samples = collections.deque([(0.0, done)], maxlen=SAMPLES)

  def advance(self, count: int = 1) -> None:
    """Notes that more pieces are done; cheap enough for every image."""
    self.reach(self.done + count)

  def reach(self, done: int) -> None:
    """Notes that this many pieces are done."""
    self.done = done
    now = self.seconds
    if now - self._samples[-1][0] >= 0.5:  # of fast pieces, not each is a sample
      self._samples.append((now, done))

  def pause(self) -> None:
    """Stops the clock."""
    self._spent, self._since = self.seconds, None

  def go_on(self) -> None:
    """Starts the clock again."""
    self._since = time.perf_counter()

  @property
  def seconds(self) -> float:
    """Seconds on the clock."""
    since = self._since
    return self._spent if since is None else self._spent + time.perf_counter() - since

  @property
  def rate(self) -> float:
    """Pieces per second of the last pieces; 0 before the first is done."""
    samples = list(self._samples)
    (then, before), (last, done) = samples[0], samples[-1]
    return (done - before) / (last - then) if last > then else 0.0

  @property
  def seconds_left(self) -> float | None:
    """Seconds until all pieces are done; None if unknown."""
    if not self.total or not self.rate:
      return None
    last, done = self._samples[-1]
    return max((self.total - done) / self.rate - (self.seconds - last), 0.0)

  @property
  def name(self) -> str:
    """What is done and, if it is counted, how many pieces are."""
    return f"{self.what} {self.done}/{self.total}" if self.total else self.what

  def pace(self) -> list[str]:
    """Returns the time taken and left, and the rate if it has a unit."""
    left = self.seconds_left
    clock = duration(self.seconds) + ("" if left is None else f"<{duration(left)}")
    if not self._unit or not self.rate:
      return [clock]
    rate = self.rate * self.scale
    return [clock, f"{rate:,.0f} {self._unit}/s" if rate >= 9.95 else f"{rate:.1f} {self._unit}/s"]


def line(stack: Sequence[Activity], columns: int) -> str:
  """Returns the line of the innermost activity, at most `columns` long.

  Args:
    stack: Activities from the outermost to the innermost.
    columns: Length of the line.
  """
  activity = stack[-1]
  outer = [each.name for each in stack[:-1] if each.total]
  if not activity.total:
    text = f" {duration(activity.seconds)}"
    return _path(outer, printable(activity.what), columns - len(text)) + text
  share = min(activity.done / activity.total, 1.0)
  right = f"| {activity.done}/{activity.total} [{', '.join(activity.pace())}"
  room = columns - BAR - len(right) - len(f" {share:4.0%}|]")
  left = f"{_path(outer, activity.what, max(room, len(activity.what)))} {share:4.0%}|"
  for note in activity.notes:  # as far as they fit without narrowing the bar
    if len(left) + BAR + len(right) + len(f", {note}]") > columns:
      break
    right += f", {note}"
  return f"{left}{_bar(share, columns - len(left) - len(right) - 1)}{right}]"


def plain(stack: Sequence[Activity]) -> str:
  """Returns a line for a log file: the names, the time taken and what is left."""
  activity = stack[-1]
  names = [each.name for each in stack if each.total or each is activity]
  left = activity.seconds_left
  words = [": ".join(names), f"{duration(activity.seconds)} so far"]
  return ", ".join(words + ([] if left is None else [f"{duration(left)} left"]))


def duration(seconds: float) -> str:
  """Returns seconds as 'm:ss' or 'h:mm:ss'."""
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _path(outer: Sequence[str], what: str, columns: int) -> str:
  """Joins the names, leaving out outer ones, the outermost last, until they fit."""
  for count in range(len(outer), -1, -1):
    text = ": ".join([*outer[:count], what])
    if len(text) <= columns:
      return text
  return what[: max(columns, 0)]


def _bar(share: float, columns: int) -> str:
  if columns < 1:
    return ""
  from tqdm.std import Bar  # not needed before the first bar is drawn

  blocks = (sys.stderr.encoding or "").lower().startswith("utf")
  return format(Bar(share, columns, Bar.UTF if blocks else Bar.ASCII))
