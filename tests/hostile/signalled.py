"""Runs a command until it is in a phase, sends a signal, and tells what happened then."""

import dataclasses
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

ROOT = pathlib.Path(__file__).parents[2]
ACKNOWLEDGED = re.compile(rb"(SIGINT|SIGTERM): stopping; a second signal stops at once\r?\n")
MOST_UNTIL_PHASE = 180  # seconds
# What a command names so while it is not complete.
UNFINISHED = ("**/.incomplete-*", "**/*.incomplete", "**/*.partial", "**/*checkpoint-tmp*")


@dataclasses.dataclass(frozen=True)
class Case:
  """A phase of a command.

  Attributes:
    phase: its name in the table.
    arguments: of `python -m`, with {root} for the folder of the test, {out} for one of its own.
    output: pattern of what is printed when the phase begins; '' for the start of the process.
    file: glob below {out} of what appears when the phase begins, '' for none.
    delay: seconds, the most that the signal comes later.
    earliest: seconds, the least.
  """

  phase: str
  arguments: tuple[str, ...]
  output: str = ""
  file: str = ""
  delay: float = 0.5
  earliest: float = 0.0

  @property
  def command(self) -> str:
    """The name of the command, with its mode."""
    modes = [word.removeprefix("--mode=") for word in self.arguments if word.startswith("--mode=")]
    return " ".join([self.arguments[0].removeprefix("vireid_jax."), *modes])


@dataclasses.dataclass
class Outcome:
  """What happened after a signal."""

  code: int
  acknowledged: float  # seconds; infinite for never
  ended: float  # seconds
  lines: int  # of acknowledgement
  left: list[str]
  output: str


def run(
  case: Case, name: str, root: pathlib.Path, out: pathlib.Path, rng, *, scale: float = 1.0
) -> Outcome | None:
  """Runs a case once; None when the command ended before the signal was sent.

  `scale` shortens the wait between the phase's begin and the signal, for a fast machine.
  """
  out.mkdir(parents=True, exist_ok=True)
  (out / "tmp").mkdir()
  words = [word.format(root=root, out=out) for word in case.arguments]
  ours, theirs = pty.openpty()  # a terminal: bars are shown, and their lines have no end
  termios.tcsetwinsize(theirs, (40, 120))
  process = subprocess.Popen(
    [sys.executable, "-m", *words],
    cwd=ROOT,
    env=_environment(root, out),
    stdin=subprocess.DEVNULL,
    stdout=theirs,
    stderr=theirs,
    start_new_session=True,
  )
  os.close(theirs)
  try:
    wait = scale * rng.uniform(case.earliest, case.earliest + case.delay)
    return _observe(_Watched(process, ours), case, name, out, wait)
  finally:
    if process.poll() is None:
      os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(ours)


def _environment(root: pathlib.Path, out: pathlib.Path) -> dict[str, str]:
  path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
  places = {"TFDS_DATA_DIR": str(root / "data"), "TMPDIR": str(out / "tmp")}
  return os.environ | places | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


@dataclasses.dataclass
class _Watched:
  """A process and our side of its terminal."""

  process: subprocess.Popen
  terminal: int

  def read(self, seconds: float) -> bytes | None:
    """Returns what was printed meanwhile; None at the end of the output."""
    ready, _, _ = select.select([self.terminal], [], [], seconds)
    if not ready:
      return b""
    try:
      return os.read(self.terminal, 1 << 16) or None
    except OSError:  # how Linux says that nobody has the other side open any more
      return None


def _observe(
  watched: _Watched, case: Case, name: str, out: pathlib.Path, wait: float
) -> Outcome | None:
  process, seen, wanted = watched.process, b"", re.compile(case.output.encode())
  latest = time.monotonic() + MOST_UNTIL_PHASE
  while not (wanted.search(seen) and (not case.file or any(out.glob(case.file)))):
    chunk = watched.read(0.01)
    if chunk is None or time.monotonic() > latest:
      raise AssertionError(f"{case.phase} was not reached:\n{seen.decode(errors='replace')}")
    seen += chunk
  started = time.monotonic()
  while time.monotonic() < started + wait:
    chunk = watched.read(max(started + wait - time.monotonic(), 0))
    if chunk is None:
      return None
    seen += chunk
  sent = time.monotonic()
  # Ctrl-C reaches the whole group, a scheduler's SIGTERM the process alone.
  if name == "SIGINT":
    os.killpg(process.pid, signal.SIGINT)
  else:
    process.send_signal(getattr(signal, name))
  after, acknowledged = b"", float("inf")
  while (chunk := watched.read(1)) is not None:
    after += chunk
    if acknowledged == float("inf") and ACKNOWLEDGED.search(after):
      acknowledged = time.monotonic() - sent
  code = process.wait()
  ended = time.monotonic() - sent
  if code == 0 and acknowledged == float("inf"):
    return None
  lines = len(ACKNOWLEDGED.findall(after))
  output = (seen + after).decode(errors="replace")
  return Outcome(code, acknowledged, ended, lines, left_behind(process, out), output)


def left_behind(process, out: pathlib.Path) -> list[str]:
  """Returns unfinished files, temporary ones, and processes of the command's session."""
  found = {path for pattern in UNFINISHED for path in out.glob(pattern)}
  found |= set((out / "tmp").iterdir())
  names = [str(path) for path in sorted(found)]
  for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
      state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
      command = (folder / "cmdline").read_text()  # empty when the process has ended
      if int(session) == process.pid and state != "Z" and command:
        names.append(f"process {command}")
    except OSError:
      continue
  return names
