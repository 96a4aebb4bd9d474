"""Results of an evaluation, as tables (in percent) and as JSON (rates in [0, 1])."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from vireid_jax.common import table
from vireid_jax.common.errors import UserError

RANKS = (1, 5, 10, 20)
SAME_GALLERY = "every trial's gallery contains all images, so the trials do not differ"
METRICS = tuple(f"rank-{rank}" for rank in RANKS) + ("mAP", "mINP")


@dataclasses.dataclass(frozen=True)
class SettingResult:
  """The result of one setting of a protocol, such as all-search, single-shot.

  Attributes:
    trials: {metric: rate in [0, 1]} for each gallery draw, with the keys of `METRICS`.
    queries: Number of queries.
    valid_queries: Number of queries with a match in the gallery, per trial; rates are means over
      these.
    gallery_sizes: Number of gallery images, per trial.
    conditions: Everything that changes the numbers, as plain values (protocol, gallery variant,
      normalisation, ...); callers may add to it.
    same_gallery: Whether there are several trials, all with the same gallery images.
    not_run: Reason why there is no result; empty if there is one.
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
    """Whether the standard deviation over the trials is meaningful."""
    return len(self.trials) > 1 and not (self.same_gallery and max(self.std.values()) < 5e-5)

  @property
  def mean(self) -> dict[str, float]:
    """Mean of each metric over the trials, in [0, 1]; empty if the setting was not run."""
    return self._over_trials(np.mean)

  @property
  def std(self) -> dict[str, float]:
    """Population standard deviation of each metric over the trials."""
    return self._over_trials(np.std)

  def _over_trials(self, reduce):
    if not self.trials:
      return {}
    return {name: float(reduce([trial[name] for trial in self.trials])) for name in METRICS}

  def to_json(self) -> dict:
    """Returns a dict of plain values; `mean` and `std` are for people who read the file."""
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
    """Builds a result from the output of `to_json`."""
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
    summaries: Output of `ranking.evaluate_ranking`, with max_rank >= 20, for each trial.
    queries: Number of queries.
    gallery_sizes: Number of gallery images, per trial.
    conditions: Everything that changes the numbers.
    same_gallery: Whether there are several trials, all with the same gallery images.

  Returns:
    The result, marked as not run if no query has a match in any trial.
  """
  conditions = dict(conditions)
  if not any(summary["valid_queries"] for summary in summaries):
    reason = f"none of the {queries} queries has a match in the gallery"
    if not queries or not any(gallery_sizes):
      reason = "the test split has no image for the " + ("gallery" if queries else "queries")
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
  """Returns `results` if at least one of the settings was run.

  Raises:
    UserError: No setting was run; gives the reason for each.
  """
  if not any(result.trials for result in results.values()):
    reasons = "; ".join(f"{name}: {result.not_run}" for name, result in results.items())
    raise UserError(f"nothing could be evaluated ({reasons})")
  return dict(results)


def format_table(results: Mapping[str, SettingResult], title: str) -> str:
  """Formats results as a text table in percent.

  Args:
    results: Results by setting.
    title: First line: what was evaluated, and whether the data are synthetic.

  Returns:
    The table. With several trials, numbers are `mean ± standard deviation`. Settings that were not
    run are listed with the reason, and so are settings whose trials do not differ.
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
