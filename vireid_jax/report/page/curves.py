"""Curves of everything that a run logged."""

import json
import math
import pathlib

from vireid_jax.common.workdir_files import METRICS
from vireid_jax.report.page import figures, runs

Series = dict[int, float]  # step -> value
# Wall clock, and other forms of the step.
SKIPPED = ("step", "time", "epoch")
RATES = ("rank-1", "mAP", "mINP")
LINES = 8  # at most, in one figure
SPAN = 50  # lines whose peak is this many times smaller than the largest get a separate figure


def read(path: pathlib.Path) -> dict[str, Series]:
  """Reads the scalars of a metrics file.

  Args:
    path: JSON lines with 'step'. If a resumed run logged a step twice, the last line counts; lines
      cut off by a crash and values that are not finite are ignored.

  Returns:
    Values by step, ascending, for each name; empty if there is no file.
  """
  found: dict[str, Series] = {}
  for step, scalars in filter(None, _parsed(path)):
    for name, value in scalars.items():
      number = float(value) if isinstance(value, float | int) and abs(value) < 1e300 else math.nan
      if name not in SKIPPED and math.isfinite(number):
        found.setdefault(name, {})[step] = number
  return {name: dict(sorted(series.items())) for name, series in found.items()}


def damaged(path: pathlib.Path) -> int:
  """Returns the number of unreadable lines of a metrics file; the last line does not count."""
  return sum(line is None for line in _parsed(path)[:-1])


def _parsed(path: pathlib.Path) -> list[tuple[int, dict] | None]:
  """Reads (step, scalars) for each line; None for an unreadable line."""
  return list(map(_parse, path.read_bytes().splitlines())) if path.is_file() else []


def _parse(line: bytes) -> tuple[int, dict] | None:
  try:
    scalars = json.loads(line)
    return int(scalars["step"]), scalars
  except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
    return None


def notes(run: runs.PageRun) -> list[str]:
  """Returns a note on the unreadable lines of a run's metrics, if there are any."""
  count = damaged(run.workdir / METRICS)
  return [f"{run.label}: {count} lines of {METRICS} are damaged"] if count else []


def group(name: str) -> str:
  """Returns the title of a scalar's figure: 'loss', 'ratio', ..."""
  if name.startswith("eval/"):
    return f"evaluation, {name.rsplit('/', 1)[1]}"
  return name.split("/", 1)[0]


def draw(found: list[runs.PageRun], folder: figures.Folder) -> list[figures.Drawn]:
  """Draws all curves.

  Args:
    found: One run, whose scalars share a figure per group; or several, which share a figure per
      scalar.
    folder: Folder for the figures.
  """
  logged = {run.label: read(run.workdir / METRICS) for run in found}
  logged = {label: scalars for label, scalars in logged.items() if scalars}
  if len(logged) == 1:
    panels = _by_group(*logged.values())
  else:
    panels = _by_scalar(logged)
  return [_draw(title, lines, folder) for title, lines in panels.items()]


def _by_group(scalars: dict[str, Series]) -> dict[str, dict[str, Series]]:
  panels: dict[str, dict[str, Series]] = {}
  for name in sorted(scalars, key=_order):
    if name.startswith("eval/") and name.rsplit("/", 1)[1] not in RATES:
      continue
    panels.setdefault(group(name), {})[_short(name)] = scalars[name]
  split = {}
  for title, lines in panels.items():
    large, small = _split_small(lines)
    split |= {title: large} | ({f"{title}, small terms": small} if small else {})
  return split


def _split_small(lines: dict[str, Series]) -> tuple[dict[str, Series], dict[str, Series]]:
  """Separates lines that would be indistinguishable from zero in a common figure."""
  peaks = {name: max(map(abs, series.values())) for name, series in lines.items()}
  small = {name for name, peak in peaks.items() if 0 < peak < max(peaks.values()) / SPAN}
  return (
    {name: series for name, series in lines.items() if name not in small},
    {name: series for name, series in lines.items() if name in small},
  )


def _by_scalar(logged: dict[str, dict[str, Series]]) -> dict[str, dict[str, Series]]:
  names = sorted({name for scalars in logged.values() for name in scalars}, key=_order)
  return {
    name.removeprefix("eval/"): {
      label: scalars[name] for label, scalars in logged.items() if name in scalars
    }
    for name in names
    if not name.startswith("eval/") or name.rsplit("/", 1)[1] in RATES
  }


def _order(name: str) -> tuple:
  first = ("loss", "accuracy", "eval", "ratio", "distance")
  head = name.split("/", 1)[0]
  return (first.index(head) if head in first else len(first), name)


def _short(name: str) -> str:
  head, _, rest = name.partition("/")
  if head == "eval":
    return rest.rsplit("/", 1)[0]
  return rest or ("total" if head == "loss" else head)


def _draw(title: str, lines: dict[str, Series], folder: figures.Folder) -> figures.Drawn:
  with figures.style():
    figure, axes = figures.new()
    for label, series in list(lines.items())[:LINES]:
      marker, steps = "o" if len(series) < 12 else None, list(series)
      options = {"label": figures.short(label), "marker": marker, "markersize": 3}
      axes.plot(steps, list(series.values()), **options)
    axes.set(title=title.replace("_", " "), xlabel="step")
    if len(lines) > 1 or title not in lines:
      axes.legend()
  more = f"{LINES} of {len(lines)} lines" if len(lines) > LINES else ""
  text = f"{title} over steps: " + "; ".join(
    f"{label} ends at {list(series.values())[-1]:.4g}" for label, series in lines.items()
  )
  return folder.save(figure, f"curve {title}", text=text, caption=more)
