"""Signals in worker processes, which leave it to their parent to stop, and end with it."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker

from vireid_jax.common.interrupts import EXIT_STOPPED, SIGNALS


@contextlib.contextmanager
def blocked_in_children() -> Iterator[None]:
  """Blocks Ctrl-C in worker processes started inside the context, even during their imports."""
  resource_tracker.ensure_running()  # starting later, it would unblock them
  held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, held)


def reset() -> None:
  """Prepares a worker process: it ignores Ctrl-C, and exits when its parent has ended."""
  signal.set_wakeup_fd(-1)
  for number in SIGNALS:
    signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
  parent = multiprocessing.parent_process()
  if parent is not None:
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent) -> None:
  parent.join()
  os._exit(EXIT_STOPPED)
