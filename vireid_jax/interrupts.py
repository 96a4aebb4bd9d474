"""SIGINT and SIGTERM: acknowledged at once, then a clean end, in every phase of every command.

A thread of its own acknowledges a signal in one line: Python runs signal handlers only between two
instructions of the main thread, which may be inside a compiler for minutes. What happens next
depends on where the main thread is:

* anywhere: `Stopped` is raised there, so that `with` and `finally` clean up;
* inside `deferred()`: nothing is raised; the code looks at `Request.name` when it can stop.

A main thread that does not come out of a library within `PATIENCE` seconds is not waited for: the
files and folders named by `removing` are removed and the process ends. Only work that can be made
again lies outside of `deferred()`. A second signal ends a deferred stop in the same way.

Nothing here imports the rest of the package, or anything slow: commands install it first.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# BSD's code for "temporary failure, try again": job schedulers may restart the same command.
EXIT_STOPPED = 75
PATIENCE = 5.0  # seconds


class Stopped(BaseException):
  """A signal asked the process to stop. Not an Exception, so that nobody swallows it.

  Attributes:
    name: of the signal, such as 'SIGTERM'.
  """

  def __init__(self, name: str):
    """Stores the name of the signal."""
    super().__init__(name)
    self.name = name


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
    self.deferrals = 0
    self.left: set[pathlib.Path] = set()  # what a forced end removes
    self.installed = False


_state = _State()


def install() -> None:
  """Takes over SIGINT and SIGTERM; does nothing off the main thread, or the second time."""
  if _state.installed or threading.current_thread() is not threading.main_thread():
    return
  _state.installed = True
  read, write = os.pipe()
  os.set_blocking(write, False)
  signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  threading.Thread(target=_watch, args=(read,), name="signals", daemon=True).start()
  for number in SIGNALS:
    signal.signal(number, _handle)


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


@contextlib.contextmanager
def removing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Names a file or folder that is worth nothing while the context lasts.

  The context's owner removes it as usual; a forced end, which runs no `finally`, removes it too.
  """
  _state.left.add(path)
  try:
    yield path
  finally:
    _state.left.discard(path)


def _handle(number: int, frame) -> None:
  """Runs in the main thread."""
  del frame
  again = bool(_state.request)
  _state.request.name = signal.Signals(number).name
  if again and _state.deferrals:
    _end()
  if not _state.deferrals:
    raise Stopped(_state.request.name)


def _watch(pipe: int) -> None:
  """Runs in its own thread: acknowledges, and ends a process that cannot end itself."""
  seen = 0
  while numbers := os.read(pipe, 16):
    for number in numbers:
      if number not in SIGNALS:
        continue
      seen += 1
      _say(signal.Signals(number).name, again=seen > 1)
      if seen == 1 or _state.deferrals:
        threading.Timer(PATIENCE, _end_unless_deferred, [seen]).start()


def _say(name: str, *, again: bool) -> None:
  words = "stopping at once" if again else "stopping; a second signal stops at once"
  # Straight to the file: a lock of Python's streams may be held by the main thread.
  with contextlib.suppress(OSError):
    os.write(2, f"\n{name}: {words}\n".encode())


def _end_unless_deferred(seen: int) -> None:
  if not _state.deferrals or seen > 1:
    _end()


def _end() -> None:
  for path in list(_state.left):
    if path.is_dir():
      shutil.rmtree(path, ignore_errors=True)
    else:
      with contextlib.suppress(OSError):
        path.unlink()
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(Exception):
      stream.flush()
  os._exit(EXIT_STOPPED)
