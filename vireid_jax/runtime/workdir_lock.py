"""One run at a time in a workdir.

Two locks in one file, `.lock`, which exists while a run trains:

* the operating system's lock, which ends with its process, however that ends;
* for shared file systems, whose locks may not reach across machines: the holder's name, and a
  heartbeat every `BEAT` seconds. A holder on another machine that has been silent for `SILENCE`
  seconds is taken for dead.

For a workdir in a bucket see `bucket_lock`.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import jax

from vireid_jax.common import cleanup, files, paths
from vireid_jax.common.errors import UserError
from vireid_jax.common.workdir_files import LOCK
from vireid_jax.runtime import bucket_lock, distributed
from vireid_jax.runtime.bucket_lock import BEAT, SILENCE, refusal

POLL = 0.5  # seconds
BOOT = pathlib.Path("/proc/sys/kernel/random/boot_id")
NOT_SUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@contextlib.contextmanager
def hold(workdir: pathlib.Path) -> Iterator[None]:
  """Holds the lock of a workdir.

  Args:
    workdir: Existing, writable folder.

  Raises:
    UserError: Another process holds the lock; the message says which one.
  """
  if paths.is_remote(workdir):
    with bucket_lock.hold(workdir):
      yield
    return
  # Removed while still locked, so that it cannot be another process's file.
  with (
    _open_locked(workdir) as file,
    cleanup.removing(workdir / LOCK),
    _signed(file),
  ):
    yield


@contextlib.contextmanager
def hold_together(workdir: pathlib.Path) -> Iterator[None]:
  """Holds the lock for all processes of a run: the first takes it; if it cannot, all raise."""
  with contextlib.ExitStack() as stack:
    refusal = None
    if jax.process_index() == 0:
      try:
        stack.enter_context(hold(workdir))
      except UserError as error:
        refusal = error
    if not distributed.all_agree(refusal is None):
      raise refusal or UserError(f"{workdir} is in use, according to process 0")
    yield


@contextlib.contextmanager
def _signed(file: BinaryIO) -> Iterator[None]:
  """Writes heartbeats while the context lasts."""
  file.truncate(0)
  _sign(file)
  stop = threading.Event()
  beating = threading.Thread(target=_beat, args=(file, stop), name="lock", daemon=True)
  beating.start()
  try:
    yield
  finally:
    stop.set()
    beating.join()


def _open_locked(workdir: pathlib.Path) -> BinaryIO:
  path = workdir / LOCK
  while True:
    with files.user_errors_for_writes(workdir):
      file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")  # noqa: PTH123, SIM115
    try:
      _outlive_others(workdir, file, locked=_lock(workdir, file))
      if _is_at(path, file):
        return file
    except BaseException:
      file.close()
      raise
    file.close()  # its holder has ended and removed it


def _lock(workdir: pathlib.Path, file: BinaryIO) -> bool:
  """Takes the operating system's lock; returns whether the file system has such locks."""
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True
  except OSError as error:
    if error.errno in NOT_SUPPORTED:
      return False
    raise refusal(workdir, _read(file)) from None


def _is_at(path: pathlib.Path, file: BinaryIO) -> bool:
  try:
    return os.path.samestat(path.stat(), os.fstat(file.fileno()))
  except FileNotFoundError:
    return False


def _outlive_others(workdir: pathlib.Path, file: BinaryIO, *, locked: bool) -> None:
  """Waits until a holder without a visible lock has been silent for long enough, else raises."""
  holder = _read(file)
  if not holder or (locked and holder["machine"] == _machine()):
    return
  silent = _age(workdir, file)
  while silent < SILENCE and _is_at(workdir / LOCK, file):
    time.sleep(POLL)
    silent += POLL
    if _read(file).get("beat") != holder["beat"]:
      raise refusal(workdir, holder)


def _age(workdir: pathlib.Path, file: BinaryIO) -> float:
  """Returns seconds since the last heartbeat, both times by the file system's clock."""
  probe = workdir / f"{LOCK}.{os.urandom(8).hex()}"
  try:
    probe.touch()
    return probe.stat().st_mtime - os.fstat(file.fileno()).st_mtime
  finally:
    probe.unlink(missing_ok=True)


def _read(file: BinaryIO) -> dict:
  """Returns what the holder wrote; {} if it is missing or incomplete."""
  try:
    stored = json.loads(os.pread(file.fileno(), 4096, 0))
    return stored if {"host", "pid", "machine", "beat"} <= set(stored) else {}
  except (ValueError, TypeError, RecursionError):
    return {}


def _sign(file: BinaryIO, beat: int = 0) -> None:
  holder = {
    "host": socket.gethostname(),
    "pid": os.getpid(),
    "machine": _machine(),
    "beat": beat,
  }
  # Written at once, over a line of nearly constant length: a reader finds the old or the new one.
  os.pwrite(file.fileno(), json.dumps(holder).encode() + b"\n", 0)


def _beat(file: BinaryIO, stop: threading.Event) -> None:
  beat = 0
  while not stop.wait(BEAT):
    beat += 1
    with contextlib.suppress(OSError):  # the run itself reports a full disk
      _sign(file, beat)


def _machine() -> str:
  """Returns an id that tells machines of the same name apart, but not containers of one machine."""
  return BOOT.read_text().strip() if BOOT.exists() else socket.gethostname()
