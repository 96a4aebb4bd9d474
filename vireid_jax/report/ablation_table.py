"""Table of an ablation: a row per variant, averaged over seeds, with its differences."""

import pathlib
import statistics
from collections.abc import Mapping

from vireid_jax.common import table
from vireid_jax.common.errors import UserError
from vireid_jax.common.workdir_files import EVALUATIONS, seed_folder
from vireid_jax.config import differences
from vireid_jax.report import records

METRICS = ("rank-1", "rank-10", "mAP", "mINP")
HEAD = ("row", "differs from the config file in", "seeds", *METRICS, "rank-1 of each seed")
# Settings that differ between seeds, or do not change the numbers.
FREE = ("seed", "checkpoint", "data.dir", "eval", "log")


def render(
  rows: Mapping[str, pathlib.Path], seeds: list[int], reference: dict, *, setting: str = ""
) -> str:
  """Formats the means over seeds of some rows as Markdown.

  Args:
    rows: Folder with workdirs seed_N, by label. Unfinished seeds are left out; the column of seeds
      has the number of finished ones.
    seeds: Seeds to average.
    reference: Config with which the rows are compared, as nested plain values.
    setting: Setting of the protocol; empty for the first of each record.

  Returns:
    The table, in percent, mean ± sample standard deviation over the seeds.

  Raises:
    UserError: No seed of any row was evaluated.
  """
  found = {label: _read(folder, seeds) for label, folder in rows.items()}
  some = next((run for runs in found.values() for run in runs), None)
  if some is None:
    raise UserError(f"no run of {', '.join(rows)} was evaluated; check the logs in their folders")
  run_settings = (name for name, result in some.results.items() if result.trials)
  setting = setting or next(run_settings, next(iter(some.results), ""))
  what = _what(some)
  lines = [_row(label, runs, setting, what, reference) for label, runs in found.items()]
  body = table.markdown(HEAD, lines, "ll" + "r" * (len(HEAD) - 2))
  synthetic = " (synthetic images)" if some.stored["synthetic"] else ""
  title = f"{some.stored['dataset']}{synthetic}, {some.stored['split']}, {setting}"
  note = "percent; mean ± sample standard deviation over the seeds"
  return f"### {title}\n\n{body}\n\n{note}\n"


def _read(folder: pathlib.Path, seeds: list[int]) -> list[records.Run]:
  """Reads the plain record of the last evaluated step of each seed."""
  found = []
  for workdir in (folder / seed_folder(seed) for seed in seeds):
    # `find` would search a workdir without records for other workdirs.
    runs = records.find(str(workdir)) if (workdir / EVALUATIONS).is_dir() else []
    found += [run for run in runs if not records.suffix(run)][:1]
  return found


def _what(run: records.Run) -> tuple[str, str]:
  """Returns (data set, split) of a record."""
  return run.stored["dataset"], run.stored["split"]


def _row(
  label: str, runs: list[records.Run], setting: str, what: tuple[str, str], reference: dict
) -> tuple[str, ...]:
  if not runs:
    return label, "", "0", *("not run",) * len(METRICS), ""
  changed = differences(reference, runs[0].stored["trained"], free=FREE)
  changed = "; ".join(f"`{line.replace(' -> ', '` -> `')}`" for line in changed)
  reason = _not_comparable(runs, setting, what)
  if reason:
    return label, changed, str(len(runs)), *(f"({reason})",) * len(METRICS), ""
  rates = [run.results[setting].mean for run in runs]
  firsts = ", ".join(f"{100 * rate['rank-1']:.2f}" for rate in rates)
  return label, changed, str(len(runs)), *(_spread(rates, name) for name in METRICS), firsts


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


def _spread(rates: list[dict], name: str) -> str:
  values = [100 * rate[name] for rate in rates]
  if len(values) == 1:
    return f"{values[0]:.2f}"
  return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f}"
