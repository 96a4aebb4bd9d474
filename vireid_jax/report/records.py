"""Reads evaluation records, and checks which may be averaged."""

import dataclasses
import json
import pathlib
import re
import statistics
from collections.abc import Sequence

from vireid_jax.common import hints, paths
from vireid_jax.common.errors import UserError, printable, shown
from vireid_jax.common.workdir_files import EVALUATIONS
from vireid_jax.config import differences
from vireid_jax.evaluators import transductive
from vireid_jax.evaluators.results import CHANCE, SettingResult

_NAME = re.compile(r"step_([0-9]{1,18})(?:\..+)?")
# Settings that appear in a table's title or in the label of a row.
_SAID = ("data.name", "data.render", "eval.split", "eval.features", "eval.flip", "eval.normalize",
         "eval.mixed", "eval.verification", "eval.corruption",
         *(f"eval.{name}" for name in transductive.TECHNIQUES))  # fmt: skip
# Settings of logging, storage and data folders; all others change the numbers.
FREE = ("config.checkpoint", "config.data.dir", "config.eval", "config.log")


@dataclasses.dataclass(frozen=True)
class Run:
  """Record of one evaluation of one run.

  Attributes:
    path: Path of the file.
    stored: Content of the file.
  """

  path: pathlib.Path
  stored: dict

  @property
  def results(self) -> dict[str, SettingResult]:
    """Results by setting."""
    results = self.stored["results"]
    return {name: SettingResult.from_json(value) for name, value in results.items()}

  @property
  def departures(self) -> dict[str, str]:
    """Values by key that differ from the run's own evaluation and are in no title or label."""
    pairs = [line.split(": ", 1) for line in self.stored.get("differs", ())]
    return {
      key: change.rsplit(" -> ", 1)[1]
      for key, change in pairs
      if not any(key == name or key.startswith(f"{name}.") for name in _SAID)
    }

  @property
  def unit(self) -> tuple[int, int]:
    """(seed, trial), which must be distinct among averaged runs."""
    trial = self.stored["trial"] if _has_trials(self.stored["trained"]) else 0
    return self.stored["seed"], trial

  @property
  def settings(self) -> dict:
    """Everything that averaged runs must have in common, as nested plain values."""
    selection = self.stored["selection"]
    trained = {**self.stored["trained"], "seed": 0}
    trained["data"] = {**trained["data"], "trial": 0}
    return {
      "dataset": self.stored["dataset"],
      "split": _without_trial(self.stored["split"], self.stored["trial"]),
      "synthetic": self.stored["synthetic"],
      # Checkpoints chosen by a metric may have different steps.
      "checkpoint chosen by": selection["metric"] if selection else "last step",
      "step": "any" if selection else self.stored["step"],
      "config": trained,
      "departures": self.departures,
      "results": {name: _conditions(result) for name, result in self.results.items()},
    }


def read(path: pathlib.Path) -> Run:
  """Reads one record.

  Raises:
    UserError: The file is not a record of this version, or is damaged.
  """
  try:
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored.setdefault("selection", None)
    run = Run(path, stored)
    _check(run)
    return run
  except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
    raise UserError(
      f"{printable(str(path))} is not an evaluation record of this version "
      f"({_reason(error)}); evaluate again with "
      f"{hints.command('evaluate', '--workdir', 'DIR')}, or move the file away"
    ) from error


def _reason(error: Exception) -> str:
  """Returns in words what reading a record raised."""
  if isinstance(error, KeyError):
    return f"it has no entry {printable(str(error))[:200]}"
  if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
    return "it is not JSON"
  if isinstance(error, OSError):
    return printable(error.strerror or "it cannot be read")
  return printable(str(error))[:200]


def _check(run: Run) -> None:
  """Reads everything that a report needs, so that wrong values raise here."""
  run.settings, run.unit, run.departures  # noqa: B018
  kinds = dict.fromkeys(("dataset", "split", "method"), str)
  kinds |= dict.fromkeys(("seed", "trial", "step"), int)
  for name, kind in kinds.items():
    if not isinstance(run.stored[name], kind):
      raise TypeError(f"{name} is {run.stored[name]!r}")
  for result in run.results.values():
    rates = [*result.mean.values(), *result.std.values()]
    if not all(0 <= rate <= 1 for rate in rates):
      raise ValueError("a rate is outside of [0, 1]")
    _ = transductive.label(result.conditions)
  for rates in run.stored.get("chance", {}).values():
    sum(rates[name] for name in CHANCE)
  for pairs in run.stored.get("verification", {}).values():
    for found in pairs.values():
      numbers = [number for rates in found["tar"].values() for number in rates.values()]
      numbers += [found["distance"][side][name] for side in ("intra", "inter") for name in _SPREAD]
      sum(numbers)


_SPREAD = ("mean", "std")


def find(pattern: str, *, step: int | None = None) -> list[Run]:
  """Finds the records of the runs in one row of a table.

  Args:
    pattern: Workdir, or glob of workdirs. A folder without records stands for the workdirs in it
      (such as `split_01` ...).
    step: Step of the checkpoint; None for the latest evaluated step of each run.

  Returns:
    All records of that step in each workdir (plain, `flip`, `val`, ...), sorted by path; empty if
    nothing was evaluated.

  Raises:
    UserError: No folder matches.
  """
  return [run for workdir in workdirs(pattern) for run in of_workdir(workdir, step)]


def skipped(items: list[str], *, step: int | None = None) -> list[str]:
  """Returns a note on each file that `find` ignores, with the reason."""
  found = [workdir for item in items for workdir in workdirs(item)]
  return [text for workdir in dict.fromkeys(found) for text in _scan(workdir, step)[1]]


def workdirs(pattern: str) -> list[pathlib.Path]:
  """Returns the workdirs that `find` reads."""
  found = []
  for folder in folders(pattern):
    found += [folder] if (folder / EVALUATIONS).is_dir() else sorted(folder.iterdir())
  return found


def folders(pattern: str) -> list[pathlib.Path]:
  """Returns the folders that match a workdir or glob, sorted.

  Raises:
    UserError: No folder matches.
  """
  if not pattern.strip():
    raise UserError(
      "--workdir has an empty item; give folders separated by commas, such as runs/a,runs/b"
    )
  try:
    path = paths.path(pattern, "--workdir=")
    # The name of a folder may contain characters that are special in globs.
    found = [path] if path.is_dir() else _matches(path)
  except (ValueError, NotImplementedError, RuntimeError, OSError) as error:
    raise UserError(
      f"--workdir: {shown(pattern)} is neither a folder nor a valid glob: {error}"
    ) from None
  if not found:
    raise UserError(f"--workdir: no folder matches {shown(pattern)}")
  return found


def _matches(path: pathlib.Path) -> list[pathlib.Path]:
  root = paths.path(path.anchor or ".")
  return sorted(
    folder for folder in root.glob(str(path.relative_to(path.anchor))) if folder.is_dir()
  )


def of_workdir(workdir: pathlib.Path, step: int | None) -> list[Run]:
  """Reads all records of a workdir at a step, None for the latest; sorted by path.

  Files that are not records are ignored; `skipped` lists them.
  """
  return _scan(workdir, step)[0]


def _scan(workdir: pathlib.Path, step: int | None) -> tuple[list[Run], list[str]]:
  """Returns the records of a step, and notes on files that are not records."""
  by_step, reasons = {}, []
  for path in sorted((workdir / EVALUATIONS).glob("step_*.json")):
    match = _NAME.fullmatch(path.stem)
    if match:
      by_step.setdefault(int(match[1]), []).append(path)
    else:
      reasons.append(f"{printable(str(path))}: its name has no step, as in step_0000100.json")
  for number in sorted(by_step, reverse=True) if step is None else [step]:
    runs = []
    for path in by_step.get(number, ()):
      try:
        runs.append(read(path))
      except UserError as error:
        reasons.append(str(error))
    if runs:
      return runs, reasons
  return [], reasons


def check_alike(runs: list[Run]) -> None:
  """Checks that runs may be averaged.

  Raises:
    UserError: Two runs differ in a setting that changes the numbers, or have equal (seed, trial).
  """
  first, seen = runs[0], {}
  for run in runs:
    lines = differences(first.settings, run.settings, free=FREE)
    if lines:
      raise UserError(
        f"{first.path} and {run.path} differ in settings that change the numbers, so they are not "
        "averaged. Give them as separate items, --workdir A,B, for a row each:\n  "
        + "\n  ".join(lines)
      )
    if run.unit in seen:
      seed, trial = run.unit
      raise UserError(
        f"{seen[run.unit]} and {run.path} have the same seed {seed}"
        + (f" and trial {trial}" if trial else "")
        + "; averaging them would count one result twice"
      )
    seen[run.unit] = run.path


def chance(runs: Sequence[Run], setting: str) -> dict[str, float]:
  """Returns the mean rates in [0, 1] of a random order of the gallery, rank-1 and mAP.

  Args:
    runs: Records that are averaged.
    setting: Name of the setting.

  Returns:
    Rates by metric; {} if a record lacks them.
  """
  found = [run.stored.get("chance", {}).get(setting) for run in runs]
  if not all(found):
    return {}
  return {name: statistics.fmean(each[name] for each in found) for name in CHANCE}


def suffix(run: Run) -> str:
  """Returns a record's file name after the step: '', 'flip', 'val.rerank', ..."""
  return ".".join(run.path.stem.split(".")[1:])


def _has_trials(trained: dict) -> bool:
  return any("{trial}" in name for name in trained["data"]["train_splits"])


def _without_trial(split: str, trial: int) -> str:
  return split.removesuffix(f"_{trial}")


def _conditions(result: SettingResult) -> dict:
  if not result.trials:
    return {"not run": True}
  return {**transductive.marked(result.conditions), "trials": len(result.trials)}
