"""SIGINT, SIGTERM and SIGHUP: acknowledged at once, then a clean end, in every phase of a command.

A thread of its own acknowledges a signal in one line: Python runs signal handlers only between two
instructions of the main thread, which may be inside a compiler for minutes. What happens next
depends on where the main thread is:

* anywhere: `Stopped` is raised there, so that `with` and `finally` clean up;
* inside an import: the process ends, as after `PATIENCE` below;
* inside `deferred()`: nothing is raised; the code looks at `Request.name` when it can stop.

A main thread that does not end within `PATIENCE` seconds, outside of `deferred()`, is not waited
for: the process ends as `cleanup.end` says. Only work that can be made again is done outside of
`deferred()`. A second signal ends the process in the same way.

Nothing here imports anything slow: commands install it first. A signal before that, in the
interpreter's own start, ends the process as it ends any other.
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
# Ctrl-C reaches a whole process group, and launchers pass on what they hear: one request, twice.
SAME_REQUEST = 0.2  # seconds
TICK = 0.1  # seconds


class Stopped(SystemExit):
  """A signal asked the process to stop. Not an Exception, so that nobody swallows it.

  Where nothing catches it, the process ends with `EXIT_STOPPED` and without a traceback.

  Attributes:
    name: of the signal, such as 'SIGTERM'.
  """

  def __init__(self, name: str):
    """Stores the name of the signal."""
    super().__init__(EXIT_STOPPED)
    self.name = name
    if _state.installed:
      # With it live the frames that it left: freeing what a compiler's threads still use there, in
      # the moment before the process ends, crashed it.
      _state.raised.append(self)

  def __str__(self) -> str:
    return f"stopped by {self.name}"


class Request:
  """Whether a stop was asked for.

  Attributes:
    name: of the signal that came, '' before.
  """

  def __init__(self):
    """Nothing was asked for."""
    self.name = ""

  def __bool__(self) -> bool:
    return bool(self.name)


class _State:
  """What the process knows; signals are a property of the process, so there is one."""

  def __init__(self):
    self.request = Request()
    self.handled = 0.0  # when the main thread heard of it
    self.deferrals = 0
    self.installed = False
    self.ending = False
    self.raised: list[Stopped] = []
    self.code: int | None = None  # of a process that has nothing left to do but end
    # Taken by whoever writes the line; a lock, because taking it is one instruction.
    self.lines = {again: threading.Lock() for again in (False, True)}
    self.written = False


_state = _State()


def install() -> None:
  """Takes over the signals; does nothing off the main thread, or the second time."""
  if _state.installed or threading.current_thread() is not threading.main_thread():
    return
  _state.installed = True
  read, write = os.pipe()
  os.set_blocking(write, False)
  signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  threading.Thread(target=_watch, args=(read,), name="signals", daemon=True).start()
  sys.unraisablehook = _unraisable
  atexit.register(_ignore)  # the first to be registered is the last to be called
  _take_over()


def retake() -> None:
  """Takes the signals again from a library that has taken one of them since `install`."""
  if _state.installed:
    _take_over()


def finish(code: int) -> None:
  """Tells that a command has ended: what is left is removed, and a signal ends the process."""
  cleanup.remove_left()
  _state.code = code


@contextlib.contextmanager
def listening() -> Iterator[None]:
  """Takes over the signals while the context lasts, where `install` was not called."""
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
  """The exit code stands: an interpreter that ends would give signals their default again."""
  for number in SIGNALS:
    signal.signal(number, signal.SIG_IGN)


def _take_over() -> dict:
  """Sets the handlers; returns those before, by signal."""
  previous = {}
  for number in SIGNALS:
    # `nohup` has the hang-up ignored: the run goes on without its terminal.
    if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
      previous[number] = signal.signal(number, _handle)
  return previous


def leave(code: int) -> None:
  """Ends the process without the interpreter's own end.

  Threads of compiled libraries that are still at work when it takes their world away abort it.
  """
  _state.code = code
  _end()


def requested() -> bool:
  """Whether a signal has come; for threads, which no exception reaches."""
  return bool(_state.request)


def ending() -> bool:
  """Whether a stop was raised or the process is ended by force: errors now come from that."""
  return _state.ending or bool(_state.raised)


@contextlib.contextmanager
def deferred() -> Iterator[Request]:
  """Gives a request to look at; a signal inside is only noted there.

  A signal that came inside and led to no other end raises `Stopped` at the end of the context.
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
  """Inside `deferred()`: a part that may be given up, because it can be made again.

  A signal raises `Stopped` there, one that came before it too.
  """
  held, _state.deferrals = _state.deferrals, 0
  try:
    if _state.request:
      raise Stopped(_state.request.name)
    yield
  finally:
    _state.deferrals = held


def _handle(number: int, frame) -> None:
  """Runs in the main thread."""
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
  """Whether a frame is inside an import.

  No exception is raised there: compiled modules abort the process when one comes out of what they
  import, and others take it for a package that is missing and go on.
  """
  while frame is not None:
    if frame.f_code.co_filename.startswith("<frozen importlib"):
      return True
    frame = frame.f_back
  return False


def _watch(pipe: int) -> None:
  """Runs in its own thread: acknowledges, and ends a process that cannot end itself."""
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
    if second:  # the main thread hears it too, unless it is inside a library
      deadline = min(deadline, now + IMPATIENCE)
    elif deadline is None or _state.deferrals:
      deadline = now + PATIENCE
    if now > deadline:
      _end()


def _acknowledge(number: int, *, again: bool) -> None:
  """Writes the line of a signal; both threads call it, and one line appears."""
  if _state.lines[again].acquire(blocking=False):
    words = "stopping at once" if again else "stopping; a second signal stops at once"
    # Straight to the file: a lock of Python's streams may be held by the main thread.
    with contextlib.suppress(OSError):
      os.write(2, f"\n{signal.Signals(number).name}: {words}\n".encode())
    _state.written = True
  latest = time.monotonic() + 1
  while not _state.written and time.monotonic() < latest:  # the other thread is about to
    time.sleep(0.001)


def _unraisable(info) -> None:
  """Ends the process where `Stopped` was raised inside a destructor, which nothing comes out of."""
  if isinstance(info.exc_value, Stopped):
    _end()
  sys.__unraisablehook__(info)


def _end() -> None:
  _state.ending = True
  cleanup.end(EXIT_STOPPED if _state.code is None else _state.code)
