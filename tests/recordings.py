"""Runs a command on a terminal, records what it writes and when, and replays it."""

import codecs
import contextlib
import dataclasses
import os
import pathlib
import pty
import re
import subprocess
import sys
import termios
import time

import pyte

ROOT = pathlib.Path(__file__).parents[1]
ROWS = 40


@dataclasses.dataclass(frozen=True)
class Chunk:
  """What was written at once.

  Attributes:
    seconds: Time since the start of the command.
    delayed: Seconds for which threads of the command could have run, but the machine ran others.
    text: Text with control characters.
  """

  seconds: float
  delayed: float
  text: str


@dataclasses.dataclass(frozen=True)
class Silence:
  """A time between two chunks.

  Attributes:
    phase: What the line at the bottom said before.
    seconds: Length.
    delayed: Seconds of it that are the machine's fault; see `Chunk`.
  """

  phase: str
  seconds: float
  delayed: float


@dataclasses.dataclass(frozen=True)
class Recording:
  """A command's output on a terminal of given width, and its exit code."""

  columns: int
  code: int
  chunks: list[Chunk]

  def transcript(self, columns: int | None = None) -> list[str]:
    """Returns what the terminal shows in the end, scrolled lines too, at this or another width."""
    columns = columns or self.columns
    screen = pyte.HistoryScreen(columns, ROWS, history=100_000, ratio=0.1)
    pyte.Stream(screen).feed("".join(chunk.text for chunk in self.chunks))
    rows = ["".join(row[x].data for x in range(columns)) for row in screen.history.top]
    return "\n".join(row.rstrip() for row in [*rows, *screen.display]).rstrip("\n").split("\n")

  def bottom_lines(self) -> list[str]:
    """Returns the line with the cursor after each chunk."""
    screen = pyte.Screen(self.columns, ROWS)
    stream, found = pyte.Stream(screen), []
    for chunk in self.chunks:
      stream.feed(chunk.text)
      found.append(screen.display[screen.cursor.y].rstrip())
    return found

  def silences(self) -> list[Silence]:
    """Returns the times without output after the first of it, with the phase they were in."""
    lines = [phase_of(line) for line in self.bottom_lines()]
    phase, found = "", []
    for line, before, after in zip(lines, self.chunks, self.chunks[1:], strict=False):
      phase = line or phase
      seconds, delayed = after.seconds - before.seconds, after.delayed - before.delayed
      found.append(Silence(phase, seconds, delayed))
    return found

  def longest(self) -> dict[str, Silence]:
    """Returns the longest silence of each phase."""
    found = {}
    for silence in self.silences():
      if silence.seconds >= found.get(silence.phase, silence).seconds:
        found[silence.phase] = silence
    return found


def phase_of(line: str) -> str:
  """Returns what a line at the bottom says is done: its letters before the numbers."""
  match = re.match(r"(?:[\w.,=/]+ \d+/\d+: )*([A-Za-z][A-Za-z -]*?)(?: \(about \d+ s\))? +\d", line)
  return match[1] if match else ""


def environment(**more: str) -> dict[str, str]:
  """Returns the environment of a command that runs in any folder.

  XLA's own alarm, about compilations of over two minutes, is off: only a busy machine has those
  here.
  """
  return os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def logged(arguments: list[str], folder: pathlib.Path) -> str:
  """Runs `python -m` with arguments in a folder; returns what it writes to a pipe."""
  return subprocess.run(
    [sys.executable, "-m", *arguments],
    cwd=folder,
    env=environment(),
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    check=True,
  ).stdout.decode()


def record(arguments: list[str], columns: int, folder: pathlib.Path) -> Recording:
  """Runs `python -m` with arguments in a folder, on a terminal of this many columns."""
  ours, theirs = pty.openpty()
  termios.tcsetwinsize(theirs, (ROWS, columns))
  started = time.monotonic()
  process = subprocess.Popen(
    [sys.executable, "-m", *arguments],
    cwd=folder,
    env=environment(TERM="xterm"),
    stdin=subprocess.DEVNULL,
    stdout=theirs,
    stderr=theirs,
  )
  os.close(theirs)
  decode = codecs.getincrementaldecoder("utf-8")("replace").decode
  chunks: list[Chunk] = []
  delays: dict[str, float] = {}
  with contextlib.suppress(OSError):  # how Linux says that nobody has the other side open
    while data := os.read(ours, 1 << 16):
      delayed = _delayed(process.pid, delays)
      chunks.append(Chunk(time.monotonic() - started, delayed, decode(data)))
  os.close(ours)
  return Recording(columns, process.wait(), chunks)


def _delayed(process: int, delays: dict[str, float]) -> float:
  """Returns the seconds for which the main thread and the most delayed other one waited to run."""
  for folder in pathlib.Path(f"/proc/{process}/task").glob("*"):
    with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended
      delays[folder.name] = int((folder / "schedstat").read_text().split()[1]) / 1e9
  main = delays.get(str(process), 0.0)
  return main + max((each for name, each in delays.items() if name != str(process)), default=0.0)
