"""Table of an ablation: a row per variant, averaged over seeds, with its differences."""

import dataclasses
import json
import pathlib
import statistics
import sys
from collections.abc import Mapping

from vireid_jax.common import formats, table, terminal
from vireid_jax.common.errors import UserError, printable
from vireid_jax.common.formats import Column
from vireid_jax.common.workdir_files import EVALUATED, EVALUATIONS, seed_folder
from vireid_jax.config import differences
from vireid_jax.evaluators import transductive
from vireid_jax.evaluators.results import SettingResult
from vireid_jax.report import records

METRICS = ("rank-1", "rank-10", "mAP", "mINP")
HEAD = ("row", "differs from the config file in", "seeds", *METRICS, "rank-1 of each seed")
COLUMNS = (
  Column("row"),
  Column("differences"),
  Column("setting"),
  Column("seeds"),
  *(Column(formats.key(name), "rate") for name in METRICS),
  *(Column(f"{formats.key(name)}_std", "rate") for name in METRICS),
  Column("not_run"),
)
NOTE = "mean ± sample standard deviation over the seeds"
# Settings that differ between seeds, or do not change the numbers.
FREE = ("seed", "checkpoint", "data.dir", "eval", "log")


@dataclasses.dataclass(frozen=True)
class Line:
  """A row of the table.

  Attributes:
    label: The row as given on the command line.
    changed: Differences from the reference, 'key: old -> new' each.
    rates: Mean over trials in [0, 1] by metric, for each finished seed.
    seeds: Number of finished seeds.
    reason: Why there are no rates, such as 'not run'; empty if there are.
  """

  label: str
  changed: list[str]
  rates: list[dict[str, float]]
  seeds: int
  reason: str = ""

  def mean(self, metric: str) -> float | None:
    """Returns the mean over seeds in [0, 1]; None without rates."""
    return statistics.fmean(rate[metric] for rate in self.rates) if self.rates else None

  def std(self, metric: str) -> float | None:
    """Returns the sample standard deviation over seeds; None below two seeds."""
    values = [rate[metric] for rate in self.rates]
    return statistics.stdev(values) if len(values) > 1 else None


@dataclasses.dataclass(frozen=True)
class Ablation:
  """Results of an ablation.

  Attributes:
    title: Data set, split and setting.
    setting: Setting of the protocol.
    lines: A line per row.
  """

  title: str
  setting: str
  lines: list[Line]

  def written(self, form: str) -> str:
    """Returns the results in a format of `formats.PAPER_FORMATS`.

    On a terminal 'table' has no columns for the differences, and fits it; elsewhere it is Markdown.
    """
    if form == formats.TABLE and terminal.draws_lines(sys.stdout):
      return self._narrow(terminal.table_width(sys.stdout))
    if form in (formats.CSV, formats.JSON):
      rows = [_values(line, self.setting) for line in self.lines]
      facts = {"title": self.title, "spread": NOTE}
      return formats.written(form, "ablate", COLUMNS, rows, **facts)
    cells, align = [_cells(line) for line in self.lines], "ll" + "r" * (len(HEAD) - 2)
    if form == formats.LATEX:
      body = table.latex(HEAD, [[cell.replace("`", "") for cell in row] for row in cells], align)
      return f"% {self.title}\n{body}\n% percent; {NOTE}".replace("±", r"$\pm$")
    return f"### {self.title}\n\n{table.markdown(HEAD, cells, align)}\n\npercent; {NOTE}\n"

  def _narrow(self, width: int) -> str:
    """Returns a table with as many digits as fit, and the rows' differences below it."""
    head = ("row", "seeds", *METRICS)
    for digits, spread in ((2, True), (1, True), (1, False)):
      rows = [
        (line.label, str(line.seeds))
        + tuple(line.reason or _spread(line, name, digits, spread=spread) for name in METRICS)
        for line in self.lines
      ]
      text = table.plain(head, rows, "l" + "r" * (len(head) - 1))
      if max(map(len, text.splitlines())) <= width:
        break
    changed = [f"{each.label}: {'; '.join(each.changed)}" for each in self.lines if each.changed]
    below = [*changed, f'percent; {NOTE}; "a -> b": a of the config file is b in the row']
    said = [terminal.fitted(printable(line), sys.stdout) for line in (self.title, *below)]
    return "\n".join((said[0], text, "", *said[1:]))


def render(
  rows: Mapping[str, pathlib.Path],
  seeds: list[int],
  reference: dict,
  form: str = formats.MARKDOWN,
) -> str:
  """Formats the means over seeds of some rows; see `read` and `Ablation.written`."""
  return read(rows, seeds, reference).written(form)


def read(
  rows: Mapping[str, pathlib.Path], seeds: list[int], reference: dict, *, setting: str = ""
) -> Ablation:
  """Averages some rows over seeds.

  Args:
    rows: Folder with workdirs seed_N, by label. Unfinished seeds are left out; the column of seeds
      has the number of finished ones.
    seeds: Seeds to average.
    reference: Config with which the rows are compared, as nested plain values.
    setting: Setting of the protocol; empty for the first that was run and ranked plainly.

  Raises:
    UserError: No seed of any row was evaluated.
  """
  found = {label: _read(folder, seeds) for label, folder in rows.items()}
  some = next((run for runs in found.values() for run in runs), None)
  if some is None:
    raise UserError(f"no run of {', '.join(rows)} was evaluated; check the logs in their folders")
  setting = setting or _first(some.results)
  what = _what(some)
  lines = [_line(label, runs, setting, what, reference) for label, runs in found.items()]
  synthetic = " (synthetic images)" if some.stored["synthetic"] else ""
  how = f" [{records.suffix(some)}]" if records.suffix(some) else ""
  title = f"{some.stored['dataset']}{synthetic}, {some.stored['split']}, {setting}{how}"
  if setting in some.results and some.results[setting].is_transductive:
    title += f" [transductive: {transductive.MEANING}]"
  return Ablation(title, setting, lines)


def _first(results: Mapping[str, SettingResult]) -> str:
  """Returns the first setting with a plain result, or the first of all."""
  ran = (name for name, result in results.items() if result.trials and not result.is_transductive)
  return next(ran, next(iter(results), ""))


def _read(folder: pathlib.Path, seeds: list[int]) -> list[records.Run]:
  """Reads the record of each seed's last evaluation."""
  found = []
  for workdir in (folder / seed_folder(seed) for seed in seeds):
    # `find` would search a workdir without records for other workdirs.
    runs = records.find(str(workdir)) if (workdir / EVALUATIONS).is_dir() else []
    own = [run for run in runs if run.path == _own_record(workdir)]
    found += own or sorted(runs, key=records.suffix)[:1]
  return found


def _own_record(workdir: pathlib.Path) -> pathlib.Path | None:
  """Returns the record that the run's own settings made, which may be `flip`; None if unknown."""
  try:
    return workdir / json.loads((workdir / EVALUATED).read_text(encoding="utf-8"))["record"]
  except (OSError, ValueError, KeyError, TypeError):
    return None


def _what(run: records.Run) -> tuple[str, str]:
  """Returns (data set, split) of a record."""
  return run.stored["dataset"], run.stored["split"]


def _line(
  label: str, runs: list[records.Run], setting: str, what: tuple[str, str], reference: dict
) -> Line:
  if not runs:
    return Line(label, [], [], 0, "not run")
  changed = differences(reference, runs[0].stored["trained"], free=FREE)
  reason = _not_comparable(runs, setting, what)
  rates = [] if reason else [run.results[setting].mean for run in runs]
  return Line(label, changed, rates, len(runs), f"({reason})" if reason else "")


def _values(line: Line, setting: str) -> dict:
  """Returns the values of `COLUMNS`."""
  return {
    "row": line.label,
    "differences": "; ".join(line.changed),
    "setting": setting,
    "seeds": line.seeds,
    **{formats.key(name): line.mean(name) for name in METRICS},
    **{f"{formats.key(name)}_std": line.std(name) for name in METRICS},
    "not_run": line.reason.strip("()"),
  }


def _cells(line: Line) -> tuple[str, ...]:
  """Returns the cells under `HEAD`, in percent."""
  changed = "; ".join(f"`{each.replace(' -> ', '` -> `')}`" for each in line.changed)
  if line.reason:
    return line.label, changed, str(line.seeds), *(line.reason,) * len(METRICS), ""
  firsts = ", ".join(f"{100 * rate['rank-1']:.2f}" for rate in line.rates)
  return line.label, changed, str(line.seeds), *(_spread(line, name) for name in METRICS), firsts


def _not_comparable(runs: list[records.Run], setting: str, what: tuple[str, str]) -> str:
  """Returns why a row's numbers do not belong in the table; '' if they do.

  A row may change the protocol, or a config file may have been edited between two seeds. The other
  rows took hours and are shown anyway.
  """
  other = [name for name, wanted in zip(_what(runs[0]), what, strict=True) if name != wanted]
  if other:
    return ", ".join(other)
  if not all(setting in run.results and run.results[setting].trials for run in runs):
    return "other settings"
  try:
    records.check_alike(runs)
  except UserError:
    return "seeds of different configs"
  return ""


def _spread(line: Line, name: str, digits: int = 2, *, spread: bool = True) -> str:
  text, std = f"{100 * line.mean(name):.{digits}f}", line.std(name)
  return f"{text} ± {100 * std:.{digits}f}" if spread and std is not None else text
