"""What an evaluation found, for people (percent) and for files (rates in [0, 1])."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common import table
from vireid_jax.common.errors import UserError

RANKS = (1, 5, 10, 20)
SAME_GALLERY = "the gallery of every trial holds all images, so the trials do not differ"
METRICS = tuple(f"rank-{rank}" for rank in RANKS) + ("mAP", "mINP")


@dataclasses.dataclass(frozen=True)
class SettingResult:
  """The result of one setting of a protocol, such as all-search, single-shot.

  Attributes:
    trials: one {metric: rate in [0, 1]} per gallery draw, with the keys of `METRICS`.
    queries: number of queries.
    valid_queries: per trial, how many of them have a match left; the rates are means over these.
    gallery_sizes: per trial, number of gallery images.
    conditions: everything that changes the numbers, as plain values (protocol, gallery variant,
      normalisation, ...); callers add what they know.
    same_gallery: the galleries of several trials hold the same images, so that the trials do not
      differ: no folder holds more images than are drawn from it.
    not_run: why there is no result; empty when there is one.
  """

  trials: tuple[dict[str, float], ...] = ()
  queries: int = 0
  valid_queries: tuple[int, ...] = ()
  gallery_sizes: tuple[int, ...] = ()
  conditions: dict = dataclasses.field(default_factory=dict)
  not_run: str = ""
  same_gallery: bool = False

  @property
  def has_spread(self) -> bool:
    """Whether a deviation over the trials says anything."""
    return len(self.trials) > 1 and not (self.same_gallery and max(self.std.values()) < 5e-5)

  @property
  def mean(self) -> dict[str, float]:
    """Mean of each metric over the trials, in [0, 1]; empty when the setting was not run."""
    return self._over_trials(np.mean)

  @property
  def std(self) -> dict[str, float]:
    """Standard deviation over the trials (of the trials themselves: divided by their number)."""
    return self._over_trials(np.std)

  def _over_trials(self, reduce):
    if not self.trials:
      return {}
    return {name: float(reduce([trial[name] for trial in self.trials])) for name in METRICS}

  def to_json(self) -> dict:
    """Returns a dict of plain values; `mean` and `std` are there for readers of the file."""
    return {
      "mean": self.mean,
      "std": self.std,
      "trials": [dict(trial) for trial in self.trials],
      "queries": self.queries,
      "valid_queries": list(self.valid_queries),
      "gallery_sizes": list(self.gallery_sizes),
      "conditions": dict(self.conditions),
      "not_run": self.not_run,
      "same_gallery": self.same_gallery,
    }

  @classmethod
  def from_json(cls, stored: Mapping) -> "SettingResult":
    """Reads what `to_json` wrote."""
    return cls(
      trials=tuple(dict(trial) for trial in stored["trials"]),
      queries=stored["queries"],
      valid_queries=tuple(stored["valid_queries"]),
      gallery_sizes=tuple(stored["gallery_sizes"]),
      conditions=dict(stored["conditions"]),
      not_run=stored["not_run"],
      same_gallery=bool(stored.get("same_gallery", False)),
    )


def from_summaries(
  summaries: list[dict],
  *,
  queries: int,
  gallery_sizes: list[int],
  conditions: Mapping,
  same_gallery: bool = False,
) -> SettingResult:
  """Builds a result from the ranking summaries of its trials.

  Args:
    summaries: per trial, what `ranking.evaluate_ranking` returns with max_rank >= 20.
    queries: number of queries.
    gallery_sizes: per trial.
    conditions: what changes the numbers.
    same_gallery: see `SettingResult`.

  Returns:
    The result; marked as not run when no query of any trial has a match.
  """
  conditions = dict(conditions)
  if not any(summary["valid_queries"] for summary in summaries):
    reason = f"none of the {queries} queries has a match in the gallery"
    if not queries or not any(gallery_sizes):
      reason = "the test part holds no image for the " + ("gallery" if queries else "queries")
    return SettingResult(queries=queries, conditions=conditions, not_run=reason)
  return SettingResult(
    trials=tuple(_metrics(summary) for summary in summaries),
    queries=queries,
    valid_queries=tuple(summary["valid_queries"] for summary in summaries),
    gallery_sizes=tuple(int(size) for size in gallery_sizes),
    conditions=conditions,
    same_gallery=same_gallery,
  )


def _metrics(summary):
  rates = {f"rank-{rank}": float(summary["cmc"][rank - 1]) for rank in RANKS}
  return {**rates, "mAP": float(summary["mAP"]), "mINP": float(summary["mINP"])}


def refuse_if_empty(results: Mapping[str, SettingResult]) -> dict[str, SettingResult]:
  """Returns `results` unless none of them was run.

  Raises:
    UserError: nothing was run; gives the reason of each setting.
  """
  if not any(result.trials for result in results.values()):
    reasons = "; ".join(f"{name}: {result.not_run}" for name, result in results.items())
    raise UserError(f"nothing could be evaluated ({reasons})")
  return dict(results)


def format_table(results: Mapping[str, SettingResult], title: str) -> str:
  """Lays results out as a text table in percent.

  Args:
    results: per setting.
    title: first line; say here what was evaluated, and that data are synthetic where they are.

  Returns:
    The table; with several trials each number is `mean ± standard deviation` over them. Settings
    that were not run are listed with the reason, and those whose trials cannot differ are named.
  """
  head = ("setting", *METRICS, "trials", "queries", "gallery")
  ran = {name: result for name, result in results.items() if result.trials}
  lines = [title]
  if ran:
    rows = [_row(name, result) for name, result in ran.items()]
    lines.append(table.plain(head, rows, "l" + "r" * (len(head) - 1)))
  lines.extend(f"{name}: not run: {results[name].not_run}" for name in results if name not in ran)
  same = [name for name, result in ran.items() if result.same_gallery and not result.has_spread]
  lines += [f"{', '.join(same)}: {SAME_GALLERY}"] if same else []
  if any(result.has_spread for result in ran.values()):
    lines.append("percent; mean ± standard deviation over trials; queries with a match")
  elif ran:
    lines.append("percent; queries with a match")
  return "\n".join(lines)


def _row(name, result):
  mean, std = result.mean, result.std
  spread = result.has_spread
  rates = (
    f"{100 * mean[key]:.2f}" + (f" ± {100 * std[key]:.2f}" if spread else "") for key in METRICS
  )
  counts = (_span(result.valid_queries), _span(result.gallery_sizes))
  return (name, *rates, str(len(result.trials)), *counts)


def _span(counts):
  low, high = min(counts), max(counts)
  return str(low) if low == high else f"{low}-{high}"
