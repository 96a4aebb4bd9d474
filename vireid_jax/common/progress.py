"""What a command is doing: a line at the bottom of the terminal that moves at least every second.

Work is described by activities, which may be nested; the line shows the innermost one. A thread
draws it, so it also moves while the main thread is inside a compiler or waits for a device, and the
work itself never waits for the terminal. Where standard error is not a terminal, such as in a log
file, a plain line appears when nothing else was said for a while.

Each thread has activities of its own, and a line for them.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from vireid_jax.common import cleanup, interrupts, progress_text, terminal
from vireid_jax.common.progress_text import Activity

TICK = 0.5  # seconds between two drawings
QUIET = 30.0  # seconds without a word before a plain line; then twice as long each time


class _Screen:
  """The activities of this process, and the thread that shows them."""

  def __init__(self):
    self.stacks: dict[int, list[Activity]] = {}
    self._lock, self._ticker = threading.RLock(), None
    self._lines: terminal.BottomLines | None = None
    self._said, self._quiet = time.monotonic(), QUIET

  def push(self, activity: Activity) -> None:
    with self._lock:
      stack = self.stacks.setdefault(threading.get_ident(), [])
      if stack:
        stack[-1].pause()
      stack.append(activity)
      if self._ticker is None:
        self._begin()

  def pop(self, activity: Activity) -> None:
    with self._lock:
      stack = self.stacks.get(threading.get_ident(), [])
      if activity in stack:
        del stack[stack.index(activity) :]
      if stack:
        stack[-1].go_on()
      else:
        self.stacks.pop(threading.get_ident(), None)
      if not self.stacks:
        self.end()

  def end(self) -> None:
    with self._lock:
      self.stacks.clear()
      ended, self._ticker = self._ticker, None
      lines, self._lines = self._lines, None
    if ended:
      ended.set()
    if lines:
      lines.close()

  @property
  def draws(self) -> bool:
    return self._lines is not None

  def spoken(self) -> None:
    self._said, self._quiet = time.monotonic(), QUIET

  def _begin(self) -> None:
    self._ticker = threading.Event()
    self.spoken()
    if terminal.draws_lines(sys.stderr):
      self._lines = terminal.BottomLines(moved=_moved_by_signal())
    threading.Thread(target=self._tick, args=(self._ticker,), name="progress", daemon=True).start()

  def _tick(self, ended: threading.Event) -> None:
    while not ended.wait(TICK):
      with contextlib.suppress(OSError, ValueError):  # the terminal is gone; the work is not
        self._show(ended)

  def _show(self, ended: threading.Event) -> None:
    with self._lock:
      stacks = [list(stack) for stack in self.stacks.values() if stack]
      lines = self._lines
    if ended.is_set() or not stacks:
      return
    if lines:
      lines.draw(lambda columns: [progress_text.line(stack, columns) for stack in stacks])
      return
    if time.monotonic() - self._said >= self._quiet:
      self._said, self._quiet = time.monotonic(), 2 * self._quiet
      for stack in stacks:
        print(progress_text.plain(stack), file=sys.stderr, flush=True)


_screen = _Screen()  # one, because the terminal belongs to the process
cleanup.on_end(lambda: _screen.end())


@contextlib.contextmanager
def show(
  what: str,
  total: int = 0,
  unit: str = "",
  *,
  done: int = 0,
  scale: float = 1,
  shown: bool = True,
) -> Iterator[Activity]:
  """Shows what is done inside the context.

  Args:
    what: What is done, such as 'reading data'.
    total: Number of pieces of the work; 0 if unknown: only seconds are shown.
    unit: What the rate counts, such as 'img'.
    done: Number of pieces that were done before.
    scale: Units in a piece of work.
    shown: Whether to show it; if not, neither are its parts.

  Yields:
    The activity, to which progress is reported.
  """
  activity = Activity(what, total, unit, done=done, scale=scale)
  if not shown or not _is_first_process():
    yield activity
    return
  _screen.push(activity)
  try:
    yield activity
  finally:
    _screen.pop(activity)


def part(
  what: str, total: int = 0, unit: str = "", *, done: int = 0, scale: float = 1
) -> contextlib.AbstractContextManager[Activity]:
  """Shows a part of the activity that this thread is showing, and nothing if there is none.

  Args:
    what, total, unit, done, scale: As in `show`.
  """
  shown = threading.get_ident() in _screen.stacks
  return show(what, total, unit, done=done, scale=scale, shown=shown)


def draws() -> bool:
  """Returns whether a line is drawn, so that no log lines are needed."""
  return _screen.draws


def spoken() -> None:
  """Notes that a log line was printed, so that no plain line is needed for a while."""
  _screen.spoken()


def tracked(items: Sequence, what: str, unit: str = "") -> Iterator:
  """Yields the items, and shows how many are done, as in `part`."""
  with part(what, len(items), unit) as activity:
    for item in items:
      yield item
      activity.advance()


def clear() -> None:
  """Ends all activities and erases their lines, whatever ended the work."""
  _screen.end()


def _is_first_process() -> bool:
  """Returns whether this is the only process, or the first of several."""
  jax = sys.modules.get("jax")
  if jax is None or not hasattr(jax, "distributed") or not jax.distributed.is_initialized():
    return True
  return jax.process_index() == 0


def _moved_by_signal():
  """Returns a function that is true once, after the line of a signal was written."""
  before = interrupts.lines_written()

  def moved() -> bool:
    nonlocal before
    now = interrupts.lines_written()
    found, before = now != before, now
    return found

  return moved
