"""Curves of everything that a run logged."""

import itertools
import json
import math
import pathlib
import re

from vireid_jax.common.workdir_files import METRICS
from vireid_jax.report import tables
from vireid_jax.report.page import figures, runs

Series = dict[int, float]  # step -> value
# Wall clock, and other forms of the step.
SKIPPED = ("step", "time", "epoch")
RATES = ("rank-1", "mAP", "mINP")
HEALTH = ("goodput", "seconds", "images_per_second")
PERCENT = ("eval", "accuracy", "goodput")  # logged as rates
UNITS = {
  "eval": "%",
  "accuracy": "%",
  "goodput": "% of the time since the start",
  "images_per_second": "images per second",
  "seconds": "seconds",
  "lr": "learning rate",
  "loss": "loss",
  "grad_norm": "norm of the gradient",
}
SINCE_START = ("seconds/compile", "seconds/evaluation", "seconds/checkpoint")  # sums
PER_STEP = ("seconds/step", "seconds/data_wait")
WITH_EVALUATIONS = ("loss", "accuracy")  # figures that mark the evaluated steps
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
  if name in SINCE_START:
    return "seconds, since the start"
  if name in PER_STEP:
    return "seconds, per step"
  return name.split("/", 1)[0]


def seconds(workdir: pathlib.Path, starts: int) -> float | None:
  """Returns the seconds between a run's first and last logged line, without the longest pauses.

  Args:
    workdir: Folder of the run.
    starts: Number of times the run was started; a pause is left out for each continuation.

  Returns:
    Seconds; None with less than two lines.
  """
  lines = [parsed[1] for parsed in _parsed(workdir / METRICS) if parsed]
  times = [float(line["time"]) for line in lines if isinstance(line.get("time"), float | int)]
  if len(times) < 2:
    return None
  gaps = sorted(max(0.0, after - before) for before, after in itertools.pairwise(times))
  return sum(gaps[: len(gaps) - max(0, starts - 1)])


def logged(run: runs.PageRun) -> dict[str, Series]:
  """Returns a run's scalars, and the results of its records at steps that were not logged."""
  found = read(run.workdir / METRICS)
  own = [record for record in run.records if not record.stored.get("differs")]
  for record in sorted(own, key=lambda record: len(record.path.name)):
    for setting, result in record.results.items():
      if tables.kind(result.conditions) != "plain":
        continue
      for metric, rate in result.mean.items():
        name = f"eval/{record.stored['dataset']}/{setting}/{metric}"
        found.setdefault(name, {}).setdefault(record.stored["step"], rate)
  return {name: dict(sorted(series.items())) for name, series in found.items()}


def draw(
  found: list[runs.PageRun], folder: figures.Folder
) -> tuple[list[figures.Drawn], list[figures.Drawn]]:
  """Draws all curves.

  Args:
    found: One run, whose scalars share a figure per group; or several, which share a figure per
      scalar.
    folder: Folder for the figures.

  Returns:
    Figures of losses, metrics and other scalars, and figures of the run's health: goodput, seconds
    and rate.
  """
  by_run = {run.label: scalars for run in found if (scalars := logged(run))}
  colors = figures.colors(run.label for run in found)
  if len(by_run) == 1:
    panels, colors = _by_group(*by_run.values()), {}
  else:
    panels = _by_scalar(by_run)
  steps = sorted({step for scalars in by_run.values() for step in _evaluated(scalars)})
  split: tuple[list, list] = ([], [])
  for title, lines in panels.items():
    drawn = _draw(title, lines, colors, steps, folder)
    split[_head(title) in HEALTH].append(drawn)
  return split


def _evaluated(scalars: dict[str, Series]) -> set[int]:
  return {step for name in scalars if name.startswith("eval/") for step in scalars[name]}


def _head(title: str) -> str:
  """Returns the kind of scalars in a figure: 'loss', 'eval', 'seconds', ..."""
  return re.split("[/,]", title)[0].replace("evaluation", "eval")


def _by_group(scalars: dict[str, Series]) -> dict[str, dict[str, Series]]:
  panels: dict[str, dict[str, Series]] = {}
  for name in sorted(scalars, key=_order):
    if name.startswith("eval/") and name.rsplit("/", 1)[1] not in RATES:
      continue
    panels.setdefault(group(name), {})[_short(name)] = scalars[name]
  split = {}
  for title, lines in panels.items():
    large, small = _split_small(lines)
    large, small = _without_common_folder(large), _without_common_folder(small)
    split |= {title: large} | ({f"{title}, small terms": small} if small else {})
  return split


def _without_common_folder(lines: dict[str, Series]) -> dict[str, Series]:
  """Cuts off the data set, with which all settings of an evaluation begin."""
  parts = [name.split("/") for name in lines]
  shared = 0
  while parts and all(
    len(each) > shared + 1 and each[shared] == parts[0][shared] for each in parts
  ):
    shared += 1
  return {"/".join(name.split("/")[shared:]): series for name, series in lines.items()}


def _split_small(lines: dict[str, Series]) -> tuple[dict[str, Series], dict[str, Series]]:
  """Separates lines that would be indistinguishable from zero in a common figure."""
  peaks = {name: max(map(abs, series.values())) for name, series in lines.items()}
  small = {name for name, peak in peaks.items() if 0 < peak < max(peaks.values()) / SPAN}
  return (
    {name: series for name, series in lines.items() if name not in small},
    {name: series for name, series in lines.items() if name in small},
  )


def _by_scalar(by_run: dict[str, dict[str, Series]]) -> dict[str, dict[str, Series]]:
  names = sorted({name for scalars in by_run.values() for name in scalars}, key=_order)
  first = {_setting(name) for scalars in by_run.values() for name in _first_evaluation(scalars)}
  return {
    name.replace("eval/", "evaluation, ", 1): {
      label: scalars[name] for label, scalars in by_run.items() if name in scalars
    }
    for name in names
    # Of the settings the first one; tables have them all.
    if not name.startswith("eval/") or (name.rsplit("/", 1)[1] in RATES and _setting(name) in first)
  }


def _first_evaluation(scalars: dict[str, Series]) -> list[str]:
  return [name for name in scalars if name.startswith("eval/")][:1]


def _setting(name: str) -> str:
  return name.rsplit("/", 1)[0]


def _order(name: str) -> tuple:
  first = ("loss", "accuracy", "eval", "ratio", "distance")
  head = name.split("/", 1)[0]
  metric = name.rsplit("/", 1)[-1]
  rate = RATES.index(metric) if head == "eval" and metric in RATES else 0
  return (first.index(head) if head in first else len(first), rate, name)


def _short(name: str) -> str:
  head, _, rest = name.partition("/")
  if head == "eval":
    return rest.rsplit("/", 1)[0]
  return rest or ("total" if head == "loss" else head)


def _draw(title: str, lines: dict[str, Series], colors, evaluated, folder) -> figures.Drawn:
  head = _head(title)
  scale = 100 if head in PERCENT else 1
  with figures.style():
    figure, axes = figures.new()
    for label, series in list(lines.items())[:LINES]:
      marker = "o" if len(series) < 12 or head == "eval" else None
      options = {"label": figures.short(label), "marker": marker, "markersize": 3}
      options |= {"color": colors[label]} if label in colors else {}
      axes.plot(list(series), [scale * value for value in series.values()], **options)
    if evaluated and head in WITH_EVALUATIONS:
      place = {"transform": axes.get_xaxis_transform(), "clip_on": False}
      options = {"color": "#666666", "markersize": 6, "label": "evaluated", **place}
      axes.plot(evaluated, [0] * len(evaluated), "|", **options)
    if len(steps := {step for series in lines.values() for step in series}) == 1:
      axes.set_xticks(list(steps))  # not steps and tenths of steps around it
    axes.set(title=_title(title), xlabel="step", ylabel=UNITS.get(head, "value, as logged"))
    if len(lines) > 1 or title not in lines:
      figures.legend_below(figure, axes)
  more = f"{LINES} of {len(lines)} lines" if len(lines) > LINES else ""
  text = f"{title} over steps: " + "; ".join(
    f"{label} ends at {scale * list(series.values())[-1]:.4g}" for label, series in lines.items()
  )
  return folder.save(figure, f"curve {title}", text=text, caption=more)


def _title(title: str) -> str:
  """Returns a figure's title; of an evaluation only metric and setting, which fit."""
  if title.startswith("evaluation, ") and "/" in title:
    parts = title.removeprefix("evaluation, ").split("/")
    return f"{parts[-1]}, {figures.short('/'.join(parts[-4:-1]))}"
  return title.replace("_", " ")
