"""Signals in worker processes, which end with their parent and by its decision."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker

from vireid_jax.common.interrupts import EXIT_STOPPED, SIGNALS


@contextlib.contextmanager
def unheard_by_children() -> Iterator[None]:
  """Worker processes that start inside do not hear Ctrl-C, not even during their first imports."""
  resource_tracker.ensure_running()  # starting later, it would unblock them
  held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, held)


def reset() -> None:
  """For worker processes: Ctrl-C is their parent's business, and they end when it has ended."""
  signal.set_wakeup_fd(-1)
  for number in SIGNALS:
    signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
  parent = multiprocessing.parent_process()
  if parent is not None:
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent) -> None:
  parent.join()
  os._exit(EXIT_STOPPED)
