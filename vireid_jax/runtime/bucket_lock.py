"""The lock of a workdir in a bucket: an object that is written only over a known generation.

The bucket refuses a write over any other generation, so of several processes one takes the lock.
The holder writes a heartbeat every `BEAT` seconds. One that has been silent for `SILENCE` seconds,
or whose process is known to have ended, is taken for dead, and the lock is taken over.
"""

import contextlib
import json
import os
import pathlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime

from vireid_jax.common import cleanup, progress
from vireid_jax.common.errors import UserError
from vireid_jax.common.workdir_files import LOCK

BEAT, SILENCE = 10.0, 60.0  # seconds
POLL = 2.0  # seconds
NONE = "0"  # generation of an object that does not exist
FIELDS = ("host", "pid", "boot", "beat")


@contextlib.contextmanager
def hold(workdir: pathlib.Path) -> Iterator[None]:
  """Holds the lock of a workdir in a bucket; see `workdir_lock.hold`."""
  lock = _Lock(workdir)
  lock.take()
  stop = threading.Event()
  beating = threading.Thread(target=lock.beat, args=(stop,), name="lock", daemon=True)
  beating.start()
  try:
    yield
  finally:
    stop.set()
    beating.join()
    lock.release()


class _Lock:
  """The object of one holder."""

  def __init__(self, workdir: pathlib.Path):
    self._workdir, self._path = workdir, workdir / LOCK
    self._holder = {**_process(), "token": os.urandom(8).hex(), "beat": 0}
    self._generation = NONE

  def take(self) -> None:
    while not self._write(NONE):
      try:
        generation, holder = self._path.info()["generation"], self._read()
      except FileNotFoundError:
        continue
      if not _has_ended(holder):
        self._outlive(generation, holder)
      if self._write(generation):
        return

  def beat(self, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
      self._holder["beat"] += 1
      try:
        kept = self._write(self._generation)
      except Exception:  # no network; the run itself reports it
        continue
      if not kept:
        said = "error: another run took this one for dead and trains in its workdir"
        print(f"{said} {self._workdir}", file=sys.stderr, flush=True)
        cleanup.end(1)

  def release(self) -> None:
    with contextlib.suppress(OSError):
      self._path.remove_over(self._generation)

  def _write(self, generation: str) -> bool:
    """Writes the holder over a generation; returns whether it was the newest one."""
    written = self._path.write_over(generation, json.dumps(self._holder).encode() + b"\n")
    if written is None and self._read() == self._holder:  # only the answer was lost
      written = self._path.info()
    self._generation = written["generation"] if written else self._generation
    return written is not None

  def _read(self) -> dict:
    """Returns what the holder wrote; {} if there is none, or it is damaged."""
    try:
      stored = json.loads(self._path.read_bytes())
      return stored if set(FIELDS) <= set(stored) else {}
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
      return {}

  def _outlive(self, generation: str, holder: dict) -> None:
    """Waits until the holder has been silent for long enough, else raises."""
    silent = self._silence()
    with progress.part("waiting whether the run that holds the workdir is still alive"):
      while silent < SILENCE:
        time.sleep(POLL)
        silent += POLL
        try:
          if self._path.info()["generation"] != generation:
            raise refusal(self._workdir, holder)
        except FileNotFoundError:
          return

  def _silence(self) -> float:
    """Returns seconds since the last heartbeat, both times by the bucket's clock."""
    probe = self._path.with_name(f"{LOCK}.{os.urandom(8).hex()}")
    probe.write_bytes(b"")
    try:
      now, then = (datetime.fromisoformat(path.info()["updated"]) for path in (probe, self._path))
      return (now - then).total_seconds()
    except FileNotFoundError:  # released
      return SILENCE
    finally:
      probe.unlink(missing_ok=True)


def _process() -> dict:
  """Returns what tells this process from all others, of this and of other machines."""
  return {
    "host": socket.gethostname(),
    "pid": os.getpid(),
    "boot": _system("sys/kernel/random/boot_id"),
    "processes": _namespace(),
    "started": _start_of("self"),
  }


def _has_ended(holder: dict) -> bool:
  """Returns whether a holder's process is known to have ended; False if it is elsewhere."""
  mine = _process()
  if not holder or not mine["boot"] or not mine["processes"]:
    return False
  if any(holder.get(name) != mine[name] for name in ("boot", "processes")):
    return False
  return _start_of(holder["pid"]) != holder.get("started")


def _start_of(process: int | str) -> str:
  """Returns when a process started, in ticks since the machine's start; '' if there is none."""
  return next(iter(_system(f"{process}/stat").rpartition(")")[2].split()[19:20]), "")


def _namespace() -> str:
  try:
    return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (the text itself)
  except OSError:
    return ""


def _system(name: str) -> str:
  try:
    return (pathlib.Path("/proc") / name).read_text(encoding="utf-8", errors="replace").strip()
  except OSError:
    return ""


def refusal(workdir: pathlib.Path, holder: dict) -> UserError:
  """Returns the error for a workdir in which another process trains.

  Args:
    workdir: Folder of the run.
    holder: 'pid' and 'host' of the other process; empty if they are unknown.
  """
  who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
  return UserError(
    f"{workdir} is in use: {who} is training there. Wait for it, stop it, or choose another "
    "--workdir"
  )
