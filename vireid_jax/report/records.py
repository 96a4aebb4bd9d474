"""Reading evaluation records, and grouping those that may be averaged."""

import dataclasses
import json
import pathlib

from vireid_jax.config import differences
from vireid_jax.errors import UserError
from vireid_jax.evaluators.results import SettingResult

EVAL_FOLDER = "eval"
# How a run was watched or stored, and where its data lay; everything else changes the numbers.
FREE = ("config.checkpoint", "config.data.dir", "config.eval", "config.log")


@dataclasses.dataclass(frozen=True)
class Run:
  """The record of one evaluation of one run.

  Attributes:
    path: of the file.
    stored: its content.
  """

  path: pathlib.Path
  stored: dict

  @property
  def results(self) -> dict[str, SettingResult]:
    """Per name of a setting."""
    results = self.stored["results"]
    return {name: SettingResult.from_json(value) for name, value in results.items()}

  @property
  def unit(self) -> tuple[int, int]:
    """(seed, split): of which no two may be averaged."""
    split = self.stored["split"] if _is_split(self.stored["trained"]) else 0
    return self.stored["seed"], split

  @property
  def settings(self) -> dict:
    """Everything that two averaged runs must share, as nested plain values."""
    selection = self.stored["selection"]
    trained = {**self.stored["trained"], "seed": 0}
    trained["data"] = {**trained["data"], "split": 0}
    return {
      "dataset": self.stored["dataset"],
      "part": _without_split(self.stored["part"], self.stored["split"]),
      "synthetic": self.stored["synthetic"],
      # A checkpoint chosen by a metric may come from any step.
      "checkpoint chosen by": selection["metric"] if selection else "last step",
      "step": "any" if selection else self.stored["step"],
      "config": trained,
      "results": {name: _conditions(result) for name, result in self.results.items()},
    }


def read(path: pathlib.Path) -> Run:
  """Reads one record.

  Raises:
    UserError: the file is no record of this version.
  """
  try:
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored.setdefault("selection", None)
    Run(path, stored).settings  # noqa: B018
    return Run(path, stored)
  except (ValueError, KeyError, TypeError) as error:
    raise UserError(
      f"{path} is no evaluation record of this version ({error!r}); evaluate again with "
      "--mode=evaluate, or move it away"
    ) from error


def find(pattern: str, *, step: int | None = None) -> list[Run]:
  """Finds the records of the runs that one row of a table stands for.

  Args:
    pattern: a workdir, or a glob of workdirs. A folder that holds no record itself stands for the
      workdirs in it (such as `split_01` ...).
    step: of the checkpoint; the latest evaluated one of each run when absent.

  Returns:
    Of each workdir all records of that step (plain, `flip`, `val`, ...), sorted by path; empty
    when nothing was evaluated.

  Raises:
    UserError: no folder matches.
  """
  runs = []
  for folder in folders(pattern):
    inner = [folder] if (folder / EVAL_FOLDER).is_dir() else sorted(folder.iterdir())
    for workdir in inner:
      runs.extend(of_workdir(workdir, step))
  return runs


def folders(pattern: str) -> list[pathlib.Path]:
  """Returns the folders that one row of a table names: a workdir, or a glob of them, sorted.

  Raises:
    UserError: no folder matches.
  """
  path = pathlib.Path(pattern).expanduser()
  root = pathlib.Path(path.anchor or ".")
  found = sorted(root.glob(str(path.relative_to(path.anchor)))) if path != root else [root]
  found = [folder for folder in found if folder.is_dir()]
  if not found:
    raise UserError(f"--workdir: no folder matches {pattern!r}")
  return found


def of_workdir(workdir: pathlib.Path, step: int | None) -> list[Run]:
  """Reads all records of one workdir and step, the latest when None; sorted by path."""
  by_step = {}
  for path in sorted((workdir / EVAL_FOLDER).glob("step_*.json")):
    by_step.setdefault(int(path.stem.split(".")[0].removeprefix("step_")), []).append(path)
  if not by_step:
    return []
  return [read(path) for path in by_step.get(max(by_step) if step is None else step, ())]


def check_alike(runs: list[Run]) -> None:
  """Refuses runs that must not be averaged.

  Raises:
    UserError: two runs differ in a setting that changes numbers, or are the same (seed, split).
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
      seed, split = run.unit
      raise UserError(
        f"{seen[run.unit]} and {run.path} have the same seed {seed}"
        + (f" and split {split}" if split else "")
        + "; averaging them would count one result twice"
      )
    seen[run.unit] = run.path


def suffix(run: Run) -> str:
  """Returns what a record's file name says beside the step: '', 'flip', 'val.rerank', ..."""
  return ".".join(run.path.stem.split(".")[1:])


def _is_split(trained: dict) -> bool:
  return any("{split}" in part for part in trained["data"]["train"])


def _without_split(part: str, split: int) -> str:
  return part.removesuffix(f"_{split}")


def _conditions(result: SettingResult) -> dict:
  if not result.trials:
    return {"not run": True}
  return {**result.conditions, "trials": len(result.trials)}
