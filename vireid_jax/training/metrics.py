"""Scalars and pictures of a run: scalars as JSON lines, and both to hooks."""

import json
import pathlib
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np

from vireid_jax.common import appended, workdir_files
from vireid_jax.training import hooks

MOST_NAMED = 5


class MetricWriter:
  """Appends scalars to `workdir/metrics.jsonl`, and passes scalars and pictures on to hooks.

  Each line holds 'step', 'time' (seconds since the epoch) and the scalars.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    *,
    tensorboard: bool = True,
    wandb: bool = False,
    enabled: bool = True,
  ):
    """Opens the file for appending and the hooks; writes nothing unless `enabled`."""
    path = workdir / workdir_files.METRICS
    self._file = appended.open_lines(path) if enabled else None
    wanted = {"tensorboard": tensorboard, "wandb": wandb}
    self._hooks = hooks.open_all(workdir, **wanted) if enabled else []

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Appends the scalars of a step and flushes."""
    if self._file is None:
      return
    line = {"step": step, "time": round(time.time(), 3), **scalars}
    self._file.write(json.dumps(line) + "\n")
    for hook in self._hooks:
      hook.scalars(step, scalars)

  def draw(self, step: int, draw: Callable[[], Mapping[str, np.ndarray]]) -> None:
    """Passes pictures of a step on.

    Args:
      step: Number of completed steps.
      draw: Function that returns pictures by name, uint8 [h, w, 3]; called only for hooks.
    """
    pictures = draw() if self._hooks else {}
    for hook in self._hooks:
      hook.pictures(step, pictures)

  def sync(self) -> None:
    """Syncs written lines to disk, so that they survive a power loss."""
    if self._file:
      self._file.sync()

  def close(self) -> None:
    """Closes the file and the hooks."""
    for sink in (self._file, *self._hooks):
      if sink:
        sink.close()


def read(workdir: pathlib.Path) -> list[dict[str, float]]:
  """Returns the lines of a workdir's metrics, oldest first.

  A resumed run repeats the steps after its last checkpoint: of several lines with the same step
  and names, the last counts. Damaged lines, such as one that a killed process did not complete, are
  skipped and reported on standard error.
  """
  path = workdir / workdir_files.METRICS
  parsed = [_parse(line) for line in path.read_bytes().splitlines()]
  damaged = [str(number) for number, line in enumerate(parsed, 1) if line is None]
  if damaged:
    shown = ", ".join(damaged[:MOST_NAMED]) + (", ..." * (len(damaged) > MOST_NAMED))
    print(f"warning: {path}: damaged lines are skipped: {shown}", file=sys.stderr, flush=True)
  lines = filter(None, parsed)
  latest = {(line["step"], *sorted(line)): line for line in lines}
  return list(latest.values())


def last_step(workdir: pathlib.Path) -> int:
  """Returns the newest step in a workdir's metrics; 0 if there are none."""
  if not (workdir / workdir_files.METRICS).exists():
    return 0
  return max((line["step"] for line in read(workdir)), default=0)


def _parse(line: bytes) -> dict[str, float] | None:
  """Returns the numbers of a line; {} if it is empty, None if it is damaged."""
  if not line.strip():
    return {}
  try:
    values = json.loads(line)
  except (ValueError, RecursionError):
    return None
  if not isinstance(values, dict) or type(values.get("step")) is not int:
    return None
  return values if all(type(value) in (int, float) for value in values.values()) else None
