"""Stopping the training loop when asked: the step finishes, the state is saved.

`vireid_jax.common.interrupts` hears the signals; this says when a loop has to look at them.
"""

import contextlib
import os
import signal
from collections.abc import Iterator

import jax
from jax.experimental import multihost_utils

from vireid_jax.common import interrupts


class StopSignal:
  """The request to stop a process that trains alone."""

  def __init__(self, request: interrupts.Request):
    """Takes what `interrupts.deferred` gives."""
    self._request = request

  @property
  def name(self) -> str:
    """Of the signal that came, '' before."""
    return self._request.name

  def reached(self, step: int) -> bool:
    """Whether to stop after this step."""
    del step
    return bool(self._request)

  def interruptible(self) -> contextlib.AbstractContextManager:
    """A part of the loop that a signal ends at once, by raising `interrupts.Stopped`."""
    return interrupts.interruptible()


class GroupStop:
  """The request to one of several processes, which makes all stop after the same step.

  JAX's coordination service hears SIGTERM and passes it on; the processes agree on the first step
  that none of them has completed. Asking costs no communication while nobody was signalled. Any
  other signal that asks to stop is turned into that one.

  Attributes:
    name: of the signal.
  """

  name = "SIGTERM"

  def __init__(self, request: interrupts.Request):
    """Takes what `interrupts.deferred` gives."""
    self._request, self._passed_on = request, False

  def reached(self, step: int) -> bool:
    """Whether to stop after this step; every process must ask after every step."""
    if self._request and not self._passed_on:
      self._passed_on = True
      os.kill(os.getpid(), signal.SIGTERM)
    return multihost_utils.reached_preemption_sync_point(step)

  def interruptible(self) -> contextlib.AbstractContextManager:
    """Nothing: one process that leaves an evaluation would have the others wait for ever."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def listen() -> Iterator[StopSignal | GroupStop]:
  """Gives a loop the request of this process alone, or of several; no signal ends it inside."""
  with interrupts.deferred() as request:
    yield StopSignal(request) if jax.process_count() == 1 else GroupStop(request)


def heard() -> contextlib.AbstractContextManager:
  """Hears the signals in a process that no command does it for, such as a notebook."""
  return interrupts.listening() if jax.process_count() == 1 else contextlib.nullcontext()
