"""The numbers at the top: rank-1, mAP and mINP, before and after training, with intervals."""

import numpy as np

from vireid_jax.report.page import queries
from vireid_jax.report.page.headline import Headline, before_training
from vireid_jax.report.page.network import Embedded
from vireid_jax.report.page.runs import PageRun

SHOWN = 8  # lines in a tile; the table has all runs
NOT_EVALUATED = "not evaluated before training"


def build(
  runs: list[PageRun], headlines: dict[str, Headline], embedded: dict[str, Embedded]
) -> dict[str, object]:
  """Returns the tiles as data for the template.

  Args:
    runs: All runs; those of one item of `--workdir` share a line.
    headlines, embedded: By label of the run, for those that have them.

  Returns:
    'tiles': (metric, lines) with a line per item; 'settings': what was evaluated; 'more': number of
    items without a line.
  """
  items: dict[str, list[PageRun]] = {}
  for run in runs:
    if run.label in headlines:
      items.setdefault(run.item, []).append(run)
  shown = list(items.values())[:SHOWN]
  lines = [_lines(members, headlines, embedded) for members in shown]
  return {
    "tiles": [(name, [line[name] for line in lines]) for name in queries.TILES] if lines else [],
    "settings": sorted({headlines[run.label].setting for members in shown for run in members}),
    "more": len(items) - len(shown),
  }


def _lines(members: list[PageRun], headlines, embedded) -> dict[str, dict]:
  """Returns an item's line for each metric."""
  found = [headlines[run.label] for run in members]
  pairs = zip(found, members, strict=True)
  before = [result for pair in pairs if (result := before_training(*pair))]
  label = members[0].label if len(members) == 1 else f"{members[0].label} … ({len(members)} runs)"
  line = {}
  for name in queries.TILES:
    rates = np.array([one.result.mean[name] for one in found])
    start = np.mean([result.mean[name] for result in before]) if before else None
    spread = _spread(members[0], found, name, embedded)
    words = NOT_EVALUATED if start is None else f"{100 * start:.2f} % untrained"
    words += _chance(found, name)
    line[name] = {"label": label, "rate": float(rates.mean()), "spread": spread, "before": words}
  return line


def _chance(found: list[Headline], name: str) -> str:
  """Returns what a random order of the gallery gives, in words; '' if a record lacks it."""
  rates = [one.record.stored.get("chance", {}).get(one.setting, {}).get(name) for one in found]
  return "" if None in rates else f", {100 * np.mean(rates):.2f} % by chance"


def _spread(run: PageRun, found: list[Headline], name: str, embedded) -> str:
  """Returns the uncertainty of a line in words; it says what it is over."""
  if len(found) > 1:
    rates = [one.result.mean[name] for one in found]
    return f"± {100 * np.std(rates):.2f} (standard deviation over {len(found)} runs)"
  (one,) = found
  if run.label in embedded and one.setting in embedded[run.label].scores:
    values = queries.by_query(embedded[run.label], one.setting)[name]
    # Features of another evaluation, say with flips, have other scores.
    if len(values) and abs(values.mean() - one.result.mean[name]) < 5e-4:
      return _interval(values, "queries")
  rates = np.array([trial[name] for trial in one.result.trials])
  if one.result.has_spread:
    return _interval(rates, "trials")
  return "no interval: one trial, and no features"


def _interval(values: np.ndarray, over: str) -> str:
  low, high = queries.bootstrap(values)
  words = f"95 % interval, bootstrap over {len(values):,} {over}"
  return f"{100 * low:.2f} to {100 * high:.2f} ({words})"
