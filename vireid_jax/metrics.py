"""Where numbers go: a JSON line each, TensorBoard where installed, the terminal."""

import json
import pathlib
import time
from collections.abc import Mapping

FILE = "metrics.jsonl"


class MetricWriter:
  """Appends scalars to `workdir/metrics.jsonl` and to TensorBoard's event files.

  Each line holds 'step', 'time' (seconds since the epoch) and the scalars.
  """

  def __init__(self, workdir: pathlib.Path, *, tensorboard: bool = True, enabled: bool = True):
    """Opens the files for appending; writes nothing when not `enabled`."""
    self._file = (workdir / FILE).open("a") if enabled else None
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
  lines = [json.loads(line) for line in (workdir / FILE).read_text().splitlines()]
  latest = {(line["step"], *sorted(line)): line for line in lines}
  return list(latest.values())


def _open_tensorboard(workdir: pathlib.Path):
  try:
    from tensorboardX import SummaryWriter
  except ImportError:
    return None
  return SummaryWriter(str(workdir / "tensorboard"))
