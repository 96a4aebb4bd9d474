"""Paper-style tables: a row per method, a block of columns per search mode or direction."""

import dataclasses
import statistics
from collections.abc import Mapping

from vireid_jax.common import hints
from vireid_jax.common.errors import UserError, printable
from vireid_jax.evaluators import transductive
from vireid_jax.evaluators.results import METRICS, SAME_GALLERY, SettingResult
from vireid_jax.evaluators.transductive import MEANING
from vireid_jax.report import naming, records
from vireid_jax.report.records import Run

NOT_RUN = "not run"


@dataclasses.dataclass(frozen=True)
class Cell:
  """Numbers of one setting in one row.

  Attributes:
    mean: Rate in [0, 1] by metric.
    std: Standard deviation in [0, 1] by metric; empty if there is only one number.
    over: What the standard deviation is over: 'seeds', 'splits', 'trials' or ''.
    trials: Number of trials of each run.
    same_gallery: Whether there are several trials, which do not differ.
    chance: Rates in [0, 1] of a random order of the gallery, rank-1 and mAP; {} if unknown.
  """

  mean: dict[str, float]
  std: dict[str, float]
  over: str
  trials: int
  same_gallery: bool = False
  chance: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Row:
  """Row of a table: one item of `--workdir`.

  Attributes:
    run: Name of the item, and the settings in which the items differ.
    label: Method, and how the result differs from the plain one.
    runs: Numbers of splits and seeds, in words.
    cells: Cell by block of columns; absent if the setting was not run.
    item: The item.
    kind: How the images were ranked: 'plain', 'mixed', 'corrupted', or the kind of a transductive
      technique.
  """

  run: str
  label: str
  runs: str
  cells: dict[str, Cell]
  item: str = ""
  kind: str = "plain"


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows that share data set and protocol variant.

  Attributes:
    title: Data set, split and protocol variant.
    blocks: Names of the blocks of columns.
    rows: Rows, in the given order.
    variant: Protocol variant alone, such as '1-shot, official'; may be empty.
    transductive: Whether the rows are transductive; no table has both kinds of rows.
  """

  title: str
  blocks: tuple[str, ...]
  rows: tuple[Row, ...]
  variant: str = ""
  transductive: bool = False

  @property
  def heading(self) -> str:
    """Title, with a mark if the rows are transductive."""
    return f"{self.title} [transductive: {MEANING}]" if self.transductive else self.title

  @property
  def note(self) -> str:
    """Explanation of the numbers."""
    over = sorted({cell.over for row in self.rows for cell in row.cells.values() if cell.over})
    spread = f"; mean ± standard deviation over {', or over '.join(over)}" if over else ""
    same = [
      block
      for block in self.blocks
      if any(row.cells[block].same_gallery for row in self.rows if block in row.cells)
    ]
    return f"percent{spread}" + (f"; {', '.join(same)}: {SAME_GALLERY}" if same else "")


def build(items: list[str], *, step: int | None = None) -> list[Table]:
  """Builds all tables of the given items.

  Args:
    items: Workdirs, folders of workdirs, or globs; the runs of one item are averaged.
    step: Step of the checkpoints; None for the latest.

  Raises:
    UserError: Nothing was evaluated, or the runs of an item must not be averaged.
  """
  found = _read(items, step)
  names = naming.names(found) if found else {}
  tables: dict[tuple[str, str, bool], dict] = {}
  for item, all_runs in found.items():
    for runs in _by_suffix(all_runs):
      records.check_alike(runs)
      for head, label, block, ranked, cell in _place(runs):
        rows = tables.setdefault(head, {})
        place = (names[item], label, _count(runs), item, ranked)
        if _differ(rows.get(place, {}).get(block), cell):
          label = f"{label} [{records.suffix(runs[0]) or 'plain'}]"
          place = (names[item], label, _count(runs), item, ranked)
        cells = rows.setdefault(place, {})
        _check_same_trials(cells.setdefault(block, cell), cell, f"{item}, {label}, {block}")
  if not tables:
    reasons = records.skipped(items, step=step)
    because = f" (ignored: {'; '.join(reasons)})" if reasons else ""
    raise UserError(
      f"--workdir: nothing was evaluated in {printable(', '.join(items))}{because}; run "
      f"{hints.command('evaluate', '--workdir', 'DIR')}"
    )
  return [_table(*head, rows) for head, rows in sorted(tables.items())]


def absent(items: list[str], *, step: int | None = None) -> list[str]:
  """Returns a note on each item that is not in the tables."""
  found = _read(items, step)
  return [f"{printable(item)}: nothing was evaluated" for item in items if item not in found]


def _read(items: list[str], step: int | None) -> dict[str, list[Run]]:
  """Returns the records of each item that has records."""
  found = {item: records.find(item, step=step) for item in items}
  return {item: runs for item, runs in found.items() if runs}


def _differ(kept: Cell | None, other: Cell | None) -> bool:
  """Returns whether two cells with equally many trials differ in a printed number."""
  if kept is None or other is None or kept.trials != other.trials:
    return False
  return any(abs(kept.mean[name] - other.mean[name]) >= 5e-5 for name in METRICS)


def _by_suffix(runs: list[Run]) -> list[list[Run]]:
  groups = {}
  for run in runs:
    groups.setdefault(records.suffix(run), []).append(run)
  return [groups[name] for name in sorted(groups)]


def _place(runs: list[Run]):
  """Yields (title and variant, row label, block of columns, kind, cell or None) per setting."""
  stored = [run.results for run in runs]
  for name, result in stored[0].items():
    block, *variant = result.conditions.get("setting", name).split("/")
    title = _title(runs[0], variant, result.conditions)
    cell = _average(runs, [results[name] for results in stored]) if result.trials else None
    cell = cell and dataclasses.replace(cell, chance=records.chance(runs, name))
    label = _label(runs[0], result.conditions)
    apart = transductive.of(result.conditions) is not None
    yield (title, ", ".join(variant), apart), label, block, kind(result.conditions), cell


def _check_same_trials(kept: Cell | None, other: Cell | None, where: str) -> None:
  """Refuses two records of the same checkpoint and setting with different numbers of trials."""
  trials = [cell.trials if cell else 0 for cell in (kept, other)]
  if trials[0] != trials[1]:
    raise UserError(
      f"{where}: two records of the same checkpoint have {trials[0]} and {trials[1]} trials; "
      "evaluate again with equal config.eval.protocol.trials, or move one record away"
    )


def _title(run: Run, variant, conditions) -> str:
  synthetic = " (synthetic images)" if run.stored["synthetic"] else ""
  split = run.settings["split"]
  words = [f"{run.stored['dataset']}{synthetic}", split, conditions.get("protocol", ""), *variant]
  return ", ".join(word for word in words if word)


def kind(conditions: Mapping) -> str:
  """Returns how the images of a result were ranked, as `Row.kind`."""
  if conditions.get("corruption"):
    return "corrupted"
  plain = "mixed" if conditions.get("protocol") == "mixed" else "plain"
  return transductive.kind(conditions) or plain


def _label(run: Run, conditions) -> str:
  words = [run.stored["method"], conditions.get("feature", "")]
  words += ["flip"] if conditions.get("flip") else []
  words += [] if conditions.get("normalize", True) else ["not normalised"]
  words.append(transductive.label(conditions))
  corruption = conditions.get("corruption")
  if corruption:
    kinds = ", ".join(corruption["kinds"]) or "all kinds"
    words.append(f"corrupted ({kinds}, {corruption['draws']} draws)")
  words += [f"{key.removeprefix('eval.')} {value}" for key, value in run.departures.items()]
  if run.stored["selection"]:
    words.append(f"best by {run.stored['selection']['metric']}")
  return ", ".join(word for word in words if word)


def _count(runs: list[Run]) -> str:
  seeds = {seed for seed, _ in (run.unit for run in runs)}
  splits = {split for _, split in (run.unit for run in runs)} - {0}
  words = [f"{len(splits)} of 10 splits"] if splits else []
  words += [f"{len(seeds)} seed" + ("s" if len(seeds) > 1 else "")]
  return ", ".join(words)


def _average(runs: list[Run], results: list[SettingResult]) -> Cell:
  """Averages over splits within a seed, then over seeds; the deviation is over the outermost."""
  by_seed = {}
  for run, result in zip(runs, results, strict=True):
    by_seed.setdefault(run.unit[0], {})[run.unit[1]] = result.mean
  splits = {tuple(sorted(found)) for found in by_seed.values()}
  if len(splits) > 1:
    listed = "; ".join(f"seed {seed}: {sorted(found)}" for seed, found in sorted(by_seed.items()))
    raise UserError(
      f"the seeds of {runs[0].path} cover different splits ({listed}); run the missing ones"
    )
  seeds = [_mean(list(found.values())) for _, found in sorted(by_seed.items())]
  trials = len(results[0].trials)
  if len(seeds) > 1:
    return Cell(_mean(seeds), _deviation(seeds), "seeds", trials)
  if len(results) > 1:
    means = [result.mean for result in results]
    return Cell(_mean(means), _deviation(means), "splits", trials)
  std, over = (results[0].std, "trials") if results[0].has_spread else ({}, "")
  return Cell(results[0].mean, std, over, trials, same_gallery=trials > 1 and not std)


def _mean(rates: list[dict]) -> dict[str, float]:
  return {name: statistics.fmean(rate[name] for rate in rates) for name in METRICS}


def _deviation(rates: list[dict]) -> dict[str, float]:
  return {name: statistics.pstdev(rate[name] for rate in rates) for name in METRICS}


def _table(title: str, variant: str, apart: bool, rows: dict) -> Table:
  blocks = tuple(dict.fromkeys(block for cells in rows.values() for block in cells))
  return Table(
    title,
    blocks,
    tuple(
      Row(run, label, count, {block: cell for block, cell in cells.items() if cell}, item, ranked)
      for (run, label, count, item, ranked), cells in rows.items()
    ),
    variant,
    apart,
  )
