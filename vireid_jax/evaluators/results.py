"""Results of an evaluation, as tables (in percent) and as JSON (rates in [0, 1])."""

import dataclasses
import textwrap
from collections.abc import Mapping

import numpy as np

from vireid_jax.common import table
from vireid_jax.common.errors import UserError
from vireid_jax.common.terminal import WIDTH
from vireid_jax.evaluators import transductive

RANKS = (1, 5, 10, 20)
SAME_GALLERY = "every trial's gallery contains all images, so the trials do not differ"
METRICS = tuple(f"rank-{rank}" for rank in RANKS) + ("mAP", "mINP")
BRIEF = ("rank-1", "rank-10", "mAP", "mINP")
CHANCE = ("rank-1", "mAP")  # rates of a random order of the gallery that records have


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
  def is_transductive(self) -> bool:
    """Whether lists depend on other test images, as with re-ranking; see `transductive`."""
    return transductive.of(self.conditions) is not None

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


def format_table(
  results: Mapping[str, SettingResult], title: str, *, verbose: bool = False, width: int = WIDTH
) -> str:
  """Formats results as a text table in percent.

  Args:
    results: Results by setting.
    title: First line: what was evaluated, and whether the data are synthetic.
    verbose: Whether to show every metric, the numbers of trials, queries and gallery images, and
      all settings that were not run.
    width: Number of columns, to which the table is fitted unless it is verbose.

  Returns:
    The table, and a second one of transductive results if there are any. With several trials,
    numbers are `mean ± standard deviation`. Settings that were not run are listed with the reason,
    and so are settings whose trials do not differ.
  """
  ran = {name: result for name, result in results.items() if result.trials}
  lines = [title]
  for heading, part in _apart(ran):
    lines += heading
    lines.append(_whole(part) if verbose else _brief(part, width))
  notes = _not_run(results, verbose)
  same = [name for name, result in ran.items() if result.same_gallery and not result.has_spread]
  notes += [f"{', '.join(same)}: {SAME_GALLERY}"] if same else []
  lines += notes if verbose else [_wrapped(note, width) for note in notes]
  spread = "mean ± standard deviation over trials; "
  if ran:
    words = spread if any(result.has_spread for result in ran.values()) else ""
    more = "queries with a match" if verbose else "--verbose shows all ranks"
    lines.append(f"percent; {words}{more}")
  return "\n".join(lines)


def _apart(ran: Mapping[str, SettingResult]) -> list[tuple[list[str], dict]]:
  """Returns plain and transductive results, those there are, with lines above their tables."""
  plain = {name: result for name, result in ran.items() if not result.is_transductive}
  others = {name: result for name, result in ran.items() if result.is_transductive}
  return [
    (heading, part)
    for heading, part in (([], plain), (["", f"transductive: {transductive.MEANING}"], others))
    if part
  ]


def _not_run(results: Mapping[str, SettingResult], verbose: bool) -> list[str]:
  """Returns a line per setting that was not run; unless verbose, the first stands for all."""
  lines = [f"{name}: not run: {each.not_run}" for name, each in results.items() if each.not_run]
  if verbose or len(lines) < 2:
    return lines
  return [f"{lines[0]} (and {len(lines) - 1} more settings)"]


def _whole(ran: Mapping[str, SettingResult]) -> str:
  head = ("setting", *METRICS, "trials", "queries", "gallery")
  rows = []
  for name, result in ran.items():
    counts = (_span(result.valid_queries), _span(result.gallery_sizes))
    rows.append((name, *_rates(result, METRICS), str(len(result.trials)), *counts))
  return table.plain(head, rows, "l" + "r" * (len(head) - 1))


def _brief(ran: Mapping[str, SettingResult], width: int) -> str:
  """Draws the table with as many digits as fit."""
  for digits, spread in ((2, True), (1, True), (1, False)):
    rows = [(name, *_rates(result, BRIEF, digits, spread=spread)) for name, result in ran.items()]
    text = table.plain(("setting", *BRIEF), rows, "l" + "r" * len(BRIEF))
    if len(text.partition("\n")[0]) <= width:
      break
  return text


def _rates(result: SettingResult, metrics, digits: int = 2, *, spread: bool = True) -> list[str]:
  mean, std = result.mean, result.std
  spread = spread and result.has_spread
  return [
    f"{100 * mean[key]:.{digits}f}" + (f" ± {100 * std[key]:.{digits}f}" if spread else "")
    for key in metrics
  ]


def _wrapped(text: str, width: int) -> str:
  return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def _span(counts):
  low, high = min(counts), max(counts)
  return str(low) if low == high else f"{low}-{high}"
