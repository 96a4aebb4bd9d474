"""Signals in the states that a process can be in; every one is a process of its own."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LINE = "\n{}: stopping; a second signal stops at once\n"

START = """
import os, pathlib, signal, sys, threading, time
from vireid_jax.cli import app
from vireid_jax.common import cleanup, interrupts

folder = pathlib.Path(sys.argv[1])
interrupts.PATIENCE = 0.3

def main():
  with cleanup.removing(folder / "unfinished") as path:
    path.mkdir()
    (path / "part").touch()
    work()
  return 0

def wait():
  print("ready", flush=True)
  threading.Event().wait()

def wait_deaf():
  print("ready", flush=True)
  while True:
    try:
      threading.Event().wait()
    except BaseException:
      pass

"""
END = "\napp.start(main)\n"

IMPORTING = """
def work():
  (folder / "slow.py").write_text("import __main__\\ntry:\\n  __main__.wait()\\nexcept:\\n  pass")
  sys.path.insert(0, str(folder / "unfinished"))
  (folder / "slow.py").rename(folder / "unfinished" / "slow.py")
  sys.dont_write_bytecode = True
  import slow
  (folder / "saved").touch()
"""
# A forced end takes away what the main thread works with; removing takes a while.
PULLED_AWAY = """
def work():
  cleanup.remove_left = lambda: threading.Event().wait(0.3)
  interrupts.PATIENCE = 0
  class Child:
    def terminate(self):
      gone.set()
  gone = threading.Event()
  with cleanup.child(Child()):
    print("ready", flush=True)
    while not gone.is_set():
      try:
        gone.wait()
      except BaseException:
        pass
  (folder / "unfinished" / "part").unlink()
  (folder / "unfinished").rmdir()
  raise RuntimeError("a worker has gone")
"""
SWALLOWING = """
def work():
  try:
    wait()
  except BaseException:
    pass
"""
WAITING = "def work():\n  wait()\n"
# As a library does that catches everything, or computes outside of Python for minutes.
DEAF = "def work():\n  wait_deaf()\n"
SAVING = """
def work():
  with interrupts.deferred() as request:
    print("ready", flush=True)
    while not request:
      threading.Event().wait(0.01)
    print("saving", flush=True)
    if "slowly" in sys.argv:
      threading.Event().wait()
    (folder / "saved").touch()
"""
GIVEN_UP = """
def work():
  with interrupts.deferred(), interrupts.interruptible():
    wait()
"""
IN_A_DESTRUCTOR = """
class Object:
  def __del__(self):
    wait()

def work():
  Object()
  threading.Event().wait()
"""
ENDING = """
def work():
  import atexit
  atexit.register(wait)
"""


class Process:
  """A started process, and what was read of it."""

  def __init__(self, work, folder, *arguments):
    words = [sys.executable, "-c", START + work + END, str(folder), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    self.process = subprocess.Popen(words, cwd=ROOT, **pipes)
    assert self.process.stdout.readline() == "ready\n"

  def send(self, *names):
    for name in names:
      self.process.send_signal(getattr(signal, name))

  def end(self):
    """Returns (exit code, further output, errors)."""
    output, errors = self.process.communicate(timeout=30)
    return self.process.returncode, output, errors


@pytest.mark.parametrize(
  "work, name",
  [
    (WAITING, "SIGINT"),
    (WAITING, "SIGHUP"),
    (DEAF, "SIGTERM"),
    (IMPORTING, "SIGTERM"),
    (SWALLOWING, "SIGTERM"),
    (PULLED_AWAY, "SIGTERM"),
    (GIVEN_UP, "SIGINT"),
    (IN_A_DESTRUCTOR, "SIGTERM"),
  ],
)
def test_a_signal_ends_a_process_in_any_state(work, name, tmp_path):
  process = Process(work, tmp_path)
  process.send(name)
  assert process.end() == (75, "", LINE.format(name))
  assert not list(tmp_path.iterdir())


def test_a_deferred_stop_saves_first(tmp_path):
  process = Process(SAVING, tmp_path)
  process.send("SIGTERM")
  assert process.end() == (75, "saving\n", LINE.format("SIGTERM"))
  assert os.listdir(tmp_path) == ["saved"]  # noqa: PTH208


def test_one_request_that_arrives_twice_is_one(tmp_path):
  process = Process(SAVING, tmp_path)
  process.send("SIGSTOP", "SIGINT", "SIGTERM", "SIGCONT")
  code, output, errors = process.end()
  assert (code, output) == (75, "saving\n")
  assert errors in (LINE.format("SIGINT"), LINE.format("SIGTERM"))  # the system orders them
  assert os.listdir(tmp_path) == ["saved"]  # noqa: PTH208


def test_a_second_request_does_not_wait_for_a_save(tmp_path):
  process = Process(SAVING, tmp_path, "slowly")
  process.send("SIGINT")
  assert process.process.stdout.readline() == "saving\n"
  try:
    process.process.wait(0.4)
  except subprocess.TimeoutExpired:
    process.send("SIGINT")
  line = LINE.format("SIGINT") + "\nSIGINT: stopping at once\n"
  assert process.end() == (75, "", line)
  assert not list(tmp_path.iterdir())


def test_a_command_that_is_done_stays_done(tmp_path):
  process = Process(ENDING, tmp_path)
  process.send("SIGTERM")
  assert process.end() == (0, "", "")


def test_a_hang_up_under_nohup_is_ignored(tmp_path):
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    process = Process(WAITING, tmp_path)
  finally:
    signal.signal(signal.SIGHUP, before)
  process.send("SIGHUP")
  try:
    process.process.wait(0.4)
  except subprocess.TimeoutExpired:
    process.send("SIGTERM")
  assert process.end() == (75, "", LINE.format("SIGTERM"))
