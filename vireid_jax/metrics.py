"""Where numbers go: a JSON line each, TensorBoard where installed, the terminal."""

import json
import os
import pathlib
import time
from collections.abc import Mapping
from typing import TextIO

FILE = "metrics.jsonl"


class MetricWriter:
  """Appends scalars to `workdir/metrics.jsonl` and to TensorBoard's event files.

  Each line holds 'step', 'time' (seconds since the epoch) and the scalars.
  """

  def __init__(self, workdir: pathlib.Path, *, tensorboard: bool = True, enabled: bool = True):
    """Opens the files for appending; writes nothing when not `enabled`."""
    self._file = _open_lines(workdir / FILE) if enabled else None
    self._board = _open_tensorboard(workdir) if enabled and tensorboard else None

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Appends scalars of a step and flushes."""
    if self._file is None:
      return
    line = {"step": step, "time": round(time.time(), 3), **scalars}
    self._file.write(json.dumps(line) + "\n")
    self._file.flush()
    if self._board:
      for name, value in scalars.items():
        self._board.add_scalar(name, value, step)
      self._board.flush()

  def close(self) -> None:
    """Closes the files."""
    for sink in (self._file, self._board):
      if sink:
        sink.close()


def read(workdir: pathlib.Path) -> list[dict[str, float]]:
  """Returns the lines of a workdir's metrics, oldest first.

  A resumed run repeats the steps after its last checkpoint: of several lines with the same step
  and names, the last counts.
  """
  lines = filter(None, map(_parse, (workdir / FILE).read_text().splitlines()))
  latest = {(line["step"], *sorted(line)): line for line in lines}
  return list(latest.values())


def last_step(workdir: pathlib.Path) -> int:
  """Returns the newest step that a workdir's metrics tell of; 0 where there are none."""
  if not (workdir / FILE).exists():
    return 0
  return max((line["step"] for line in read(workdir)), default=0)


def _parse(line: str) -> dict[str, float] | None:
  try:
    return json.loads(line)
  except json.JSONDecodeError:
    return None  # what a killed process had begun to write


def _open_lines(path: pathlib.Path) -> TextIO:
  """Opens for appending, on a line of its own."""
  with path.open("a+b") as file:
    if file.tell():
      file.seek(-1, os.SEEK_END)
      if file.read() != b"\n":
        file.write(b"\n")
  return path.open("a")


def _open_tensorboard(workdir: pathlib.Path):
  try:
    from tensorboardX import SummaryWriter
  except ImportError:
    return None
  return SummaryWriter(str(workdir / "tensorboard"))
