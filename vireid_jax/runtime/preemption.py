"""Stopping the training loop on a signal: the step finishes, the state is saved.

`vireid_jax.common.interrupts` receives the signals; here a loop learns when to stop.
"""

import contextlib
import os
import signal
from collections.abc import Iterator

import jax
from jax.experimental import multihost_utils

from vireid_jax.common import interrupts


class StopSignal:
  """The request to stop a single process."""

  def __init__(self, request: interrupts.Request):
    """Takes the request that `interrupts.deferred` yields."""
    self._request = request

  @property
  def name(self) -> str:
    """Name of the signal received; '' before one arrives."""
    return self._request.name

  def reached(self, step: int) -> bool:
    """Returns whether to stop after this step."""
    del step
    return bool(self._request)

  def interruptible(self) -> contextlib.AbstractContextManager:
    """Returns a context that a signal ends at once, by raising `interrupts.Stopped`."""
    return interrupts.interruptible()


class GroupStop:
  """The request to stop several processes: a signal to one stops all after the same step.

  JAX's coordination service receives SIGTERM and passes it on; the processes agree on the first
  step that none of them has completed. Until then, checking costs no communication. Other signals
  that ask to stop are turned into SIGTERM.

  Attributes:
    name: Name of the signal.
  """

  name = "SIGTERM"

  def __init__(self, request: interrupts.Request):
    """Takes the request that `interrupts.deferred` yields."""
    self._request, self._passed_on = request, False

  def reached(self, step: int) -> bool:
    """Returns whether to stop after this step; every process must call it after every step."""
    if self._request and not self._passed_on:
      self._passed_on = True
      os.kill(os.getpid(), signal.SIGTERM)
    return multihost_utils.reached_preemption_sync_point(step)

  def interruptible(self) -> contextlib.AbstractContextManager:
    """Returns a context that does nothing: if one process left, the others would wait forever."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def listen() -> Iterator[StopSignal | GroupStop]:
  """Defers signals inside the context, and yields the request to stop."""
  with interrupts.deferred() as request:
    yield StopSignal(request) if jax.process_count() == 1 else GroupStop(request)


def receiving_signals() -> contextlib.AbstractContextManager:
  """Receives signals in a process without a command that does so, such as a notebook."""
  return interrupts.listening() if jax.process_count() == 1 else contextlib.nullcontext()
