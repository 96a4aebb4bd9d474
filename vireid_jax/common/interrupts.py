"""SIGINT, SIGTERM and SIGHUP: acknowledged at once, then a clean exit, in every phase of a command.

A separate thread acknowledges a signal in one line, because Python runs signal handlers only
between two instructions of the main thread, which may be inside a compiler for minutes. What
happens next depends on where the main thread is:

* inside an import: the process is ended with `cleanup.end`;
* inside `deferred()`: nothing is raised; the code checks the `Request` when it can stop;
* anywhere else: `Stopped` is raised, so that `with` and `finally` clean up.

Outside of `deferred()`, a process that has not exited after `PATIENCE` seconds is ended with
`cleanup.end`, so only work that can be repeated may be done there. A second signal does the same.

This module imports nothing slow, as commands install it first. A signal before that, while the
interpreter starts, ends the process as usual.
"""

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator

from vireid_jax.common import cleanup

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# BSD's code for "temporary failure, try again": job schedulers may restart the same command.
EXIT_STOPPED = 75
PATIENCE = 5.0  # seconds
IMPATIENCE = 0.5  # seconds, after a second signal
# Ctrl-C reaches a whole process group, and launchers forward signals: one request arrives twice.
SAME_REQUEST = 0.2  # seconds
TICK = 0.1  # seconds


class Stopped(SystemExit):
  """A signal asked the process to stop. Not an Exception, so that no handler swallows it.

  If nothing catches it, the process exits with `EXIT_STOPPED` and without a traceback.

  Attributes:
    name: Name of the signal, such as 'SIGTERM'.
  """

  def __init__(self, name: str):
    """Stores the name of the signal."""
    super().__init__(EXIT_STOPPED)
    self.name = name
    if _state.installed:
      # This keeps the frames alive through which it was raised: freeing what a compiler's threads
      # still use there would crash the process just before its end.
      _state.raised.append(self)

  def __str__(self) -> str:
    return f"stopped by {self.name}"


class Request:
  """A request to stop; true once a signal has arrived.

  Attributes:
    name: Name of the signal; '' before one arrives.
  """

  def __init__(self):
    """Starts without a signal."""
    self.name = ""

  def __bool__(self) -> bool:
    return bool(self.name)


class _State:
  """State of the process; one instance, because signals belong to the process."""

  def __init__(self):
    self.request = Request()
    self.handled = 0.0  # when the main thread handled the signal
    self.deferrals = 0
    self.installed = False
    self.ending = False
    self.raised: list[Stopped] = []
    self.code: int | None = None  # exit code of a process that has nothing left to do
    # Taken by the thread that writes the line; a lock, because acquiring it is atomic.
    self.lines = {again: threading.Lock() for again in (False, True)}
    self.written = 0


_state = _State()


def install() -> None:
  """Takes over the signals; does nothing outside the main thread, or if called again."""
  if _state.installed or threading.current_thread() is not threading.main_thread():
    return
  _state.installed = True
  read, write = os.pipe()
  os.set_blocking(write, False)
  signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  threading.Thread(target=_watch, args=(read,), name="signals", daemon=True).start()
  sys.unraisablehook = _unraisable
  atexit.register(_ignore)  # the first function registered is the last one called
  _take_over()


def retake() -> None:
  """Takes the signals back from a library that has taken one of them since `install`."""
  if _state.installed:
    _take_over()


def finish(code: int) -> None:
  """Marks the command as finished: removes what is left, and lets a signal end the process."""
  cleanup.remove_left()
  _state.code = code


@contextlib.contextmanager
def listening() -> Iterator[None]:
  """Takes over the signals while the context lasts, if `install` was not called."""
  if _state.installed or threading.current_thread() is not threading.main_thread():
    yield
    return
  previous = _take_over()
  try:
    yield
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler or signal.SIG_DFL)
    _state.request.name = ""


def _ignore() -> None:
  """Ignores signals at exit, where the default handlers would change the exit code."""
  for number in SIGNALS:
    signal.signal(number, signal.SIG_IGN)


def _take_over() -> dict:
  """Sets the handlers; returns the previous ones by signal."""
  previous = {}
  for number in SIGNALS:
    # Under `nohup`, SIGHUP is ignored, and the run continues without its terminal.
    if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
      previous[number] = signal.signal(number, _handle)
  return previous


def leave(code: int) -> None:
  """Ends the process without the interpreter's shutdown.

  Shutdown would abort the process if threads of compiled libraries are still running.
  """
  _state.code = code
  _end()


def requested() -> bool:
  """Returns whether a signal has arrived; for threads, in which `Stopped` is not raised."""
  return bool(_state.request)


def lines_written() -> int:
  """Returns how many lines about signals were written past Python's streams."""
  return _state.written


def ending() -> bool:
  """Returns whether the process is stopping, so that errors may be consequences of that."""
  return _state.ending or bool(_state.raised)


@contextlib.contextmanager
def deferred() -> Iterator[Request]:
  """Yields a request to check; a signal inside the context is only recorded there.

  If a signal arrived and the context ends normally, `Stopped` is raised at its end.
  """
  _state.deferrals += 1
  try:
    yield _state.request
  finally:
    _state.deferrals -= 1
  if _state.request and not _state.deferrals:
    raise Stopped(_state.request.name)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
  """Marks work inside `deferred()` that may be abandoned, because it can be repeated.

  A signal raises `Stopped` there, even one that arrived before.
  """
  held, _state.deferrals = _state.deferrals, 0
  try:
    if _state.request:
      raise Stopped(_state.request.name)
    yield
  finally:
    _state.deferrals = held


def _handle(number: int, frame) -> None:
  """Handles a signal, in the main thread."""
  if _state.code is not None:
    os._exit(_state.code)
  now, first = time.monotonic(), not _state.request
  if first:
    _state.request.name, _state.handled = signal.Signals(number).name, now
  again = now - _state.handled > SAME_REQUEST
  _acknowledge(number, again=again)
  if again:
    _end()
  if first and not _state.deferrals:
    if _state.installed and _is_importing(frame):
      _end()
    raise Stopped(_state.request.name)


def _is_importing(frame) -> bool:
  """Returns whether a frame is inside an import.

  No exception may be raised there: some compiled modules abort the process if an import of theirs
  raises, and others continue as if a package were missing.
  """
  while frame is not None:
    if frame.f_code.co_filename.startswith("<frozen importlib"):
      return True
    frame = frame.f_back
  return False


def _watch(pipe: int) -> None:
  """Acknowledges signals, in a separate thread, and ends a process that does not exit by itself."""
  since = deadline = None
  second = False
  while True:
    ready, _, _ = select.select([pipe], [], [], None if since is None else TICK)
    now = time.monotonic()
    for number in os.read(pipe, 64) if ready else b"":
      if number in SIGNALS and _state.code is None:
        since = since or now
        second = second or now - since > SAME_REQUEST
        _acknowledge(number, again=second)
    if since is None:
      continue
    if second:  # the main thread handles it too, unless it is inside a library
      deadline = min(deadline, now + IMPATIENCE)
    elif deadline is None or _state.deferrals:
      deadline = now + PATIENCE
    if now > deadline:
      _end()


def _acknowledge(number: int, *, again: bool) -> None:
  """Writes a signal's line; both threads call this, and one line appears."""
  if _state.lines[again].acquire(blocking=False):
    words = "stopping at once" if again else "stopping; a second signal stops at once"
    # To the file descriptor, because the main thread may hold the lock of Python's stream.
    with contextlib.suppress(OSError):
      os.write(2, f"\n{signal.Signals(number).name}: {words}\n".encode())
    _state.written += 1
  latest = time.monotonic() + 1
  while not _state.written and time.monotonic() < latest:  # the other thread is writing it
    time.sleep(0.001)


def _unraisable(info) -> None:
  """Ends the process if `Stopped` was raised inside a destructor, where Python discards it."""
  if isinstance(info.exc_value, Stopped):
    _end()
  sys.__unraisablehook__(info)


def _end() -> None:
  _state.ending = True
  cleanup.end(EXIT_STOPPED if _state.code is None else _state.code)
