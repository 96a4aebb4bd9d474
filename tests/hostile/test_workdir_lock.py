"""One run at a time in a workdir: the lock, who holds it, and how it ends."""

import json
import multiprocessing
import os
import signal
import socket

import pytest

from vireid_jax.common import workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.runtime import workdir_lock


def hold_and_wait(workdir, connection):
  with workdir_lock.hold(workdir):
    connection.send(os.getpid())
    connection.recv()


@pytest.fixture
def holder(tmp_path):
  """Another process that holds the lock of `tmp_path`."""
  context = multiprocessing.get_context("spawn")
  here, there = context.Pipe()
  process = context.Process(target=hold_and_wait, args=(tmp_path, there))
  process.start()
  assert here.recv() == process.pid
  yield process
  if process.is_alive():
    here.send(None)
  process.join()


def claim(workdir, beat=0, **changes):
  """Writes what a run on another machine writes."""
  names = {"host": "elsewhere", "pid": 1, "machine": "other", "beat": beat, **changes}
  (workdir / workdir_files.LOCK).write_text(json.dumps(names))


def test_a_second_run_is_told_who_holds_the_workdir(holder, tmp_path):
  wanted = f"in use: process {holder.pid} on {socket.gethostname()} is training there"
  with pytest.raises(UserError, match=wanted), workdir_lock.hold(tmp_path):
    pass


def test_a_killed_holder_leaves_the_lock_free(holder, tmp_path):
  os.kill(holder.pid, signal.SIGKILL)
  holder.join()
  assert (tmp_path / workdir_files.LOCK).exists()
  with workdir_lock.hold(tmp_path):
    pass
  assert list(tmp_path.iterdir()) == []


def test_the_file_goes_also_after_an_error(tmp_path):
  with pytest.raises(RuntimeError), workdir_lock.hold(tmp_path):
    raise RuntimeError
  assert list(tmp_path.iterdir()) == []


def test_a_living_run_on_another_machine_is_respected(tmp_path, monkeypatch):
  claim(tmp_path)
  monkeypatch.setattr(workdir_lock.time, "sleep", lambda _: claim(tmp_path, beat=1))
  with pytest.raises(UserError, match="process 1 on elsewhere"), workdir_lock.hold(tmp_path):
    pass


def test_a_silent_one_is_taken_for_dead(tmp_path, monkeypatch):
  claim(tmp_path)
  waited = []
  monkeypatch.setattr(workdir_lock.time, "sleep", waited.append)
  with workdir_lock.hold(tmp_path):
    stored = json.loads((tmp_path / workdir_files.LOCK).read_text())
    assert stored["pid"] == os.getpid() and stored["host"] == socket.gethostname()
  assert workdir_lock.SILENCE - 5 <= sum(waited) <= workdir_lock.SILENCE
  claim(tmp_path)
  os.utime(tmp_path / workdir_files.LOCK, (0, 0))
  waited.clear()
  with workdir_lock.hold(tmp_path):
    pass
  assert waited == []


def test_one_that_ends_meanwhile_leaves_a_lock_that_others_see(tmp_path, monkeypatch):
  claim(tmp_path)
  monkeypatch.setattr(
    workdir_lock.time, "sleep", lambda _: (tmp_path / workdir_files.LOCK).unlink()
  )
  with workdir_lock.hold(tmp_path):
    assert (tmp_path / workdir_files.LOCK).exists()
    with pytest.raises(UserError, match=f"process {os.getpid()}"), workdir_lock.hold(tmp_path):
      pass


@pytest.mark.parametrize("content", [b"", b"{", b"5", b"\xff", b'{"host": 1}', b"[" * 4000])
def test_a_damaged_file_is_nobody_s(content, tmp_path):
  (tmp_path / workdir_files.LOCK).write_bytes(content)
  with workdir_lock.hold(tmp_path):
    pass


def test_signs_of_life(tmp_path, monkeypatch):
  monkeypatch.setattr(workdir_lock, "BEAT", 0.01)
  with workdir_lock.hold(tmp_path):
    beats = set()
    while len(beats) < 3:
      beats.add(json.loads((tmp_path / workdir_files.LOCK).read_text())["beat"])
  assert sorted(beats)[0] >= 0 and len(beats) == 3


def test_without_locks_a_name_on_this_machine_counts_as_any_other(tmp_path, monkeypatch):
  def refuse(*_):
    raise OSError(workdir_lock.errno.ENOTSUP, "no locks here")

  monkeypatch.setattr(workdir_lock.fcntl, "flock", refuse)
  claim(tmp_path, machine=workdir_lock._machine())
  monkeypatch.setattr(
    workdir_lock.time, "sleep", lambda _: claim(tmp_path, 1, machine=workdir_lock._machine())
  )
  with pytest.raises(UserError, match="process 1 on elsewhere"), workdir_lock.hold(tmp_path):
    pass
