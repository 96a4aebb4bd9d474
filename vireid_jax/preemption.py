"""Stopping when asked: the signal is noted, the step finishes, the state is saved."""

import signal
import threading

import jax
from jax.experimental import multihost_utils


class StopSignal:
  """A context in which SIGTERM and SIGINT ask for a stop instead of killing the process.

  A second signal acts as it would without the context.

  Attributes:
    requested: whether a signal came.
    name: of the signal that came, '' before.
  """

  SIGNALS = (signal.SIGTERM, signal.SIGINT)

  def __init__(self):
    self.name = ""
    self._previous = {}

  @property
  def requested(self) -> bool:
    """Whether a signal asked to stop."""
    return bool(self.name)

  def reached(self, step: int) -> bool:
    """Whether to stop after this step."""
    del step
    return self.requested

  def __enter__(self) -> "StopSignal":
    # Only the main thread may install handlers; elsewhere (a notebook's worker) signals stay
    # with whoever has them.
    if threading.current_thread() is threading.main_thread():
      self._previous = {number: signal.signal(number, self._note) for number in self.SIGNALS}
    return self

  def __exit__(self, *_):
    self._restore()

  def _note(self, number, frame):
    del frame
    self.name = signal.Signals(number).name
    self._restore()

  def _restore(self):
    while self._previous:
      number, handler = self._previous.popitem()
      signal.signal(number, handler)


class GroupStop:
  """A context in which SIGTERM to any process makes all stop after the same step.

  JAX's coordination service hears the signal and passes it on; the processes agree on the first
  step that none of them has completed. Asking costs no communication while nobody was signalled.
  Other signals act as they would without the context.

  Attributes:
    name: of the signal.
  """

  name = "SIGTERM"

  def __enter__(self) -> "GroupStop":
    return self

  def __exit__(self, *_):
    pass

  def reached(self, step: int) -> bool:
    """Whether to stop after this step; every process must ask after every step."""
    return multihost_utils.reached_preemption_sync_point(step)


def listen() -> StopSignal | GroupStop:
  """Returns the context for this process alone, or for all of several."""
  return StopSignal() if jax.process_count() == 1 else GroupStop()
