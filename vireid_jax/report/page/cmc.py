"""CMC curves of trial 0 of each setting."""

import numpy as np

from vireid_jax.report.page import figures
from vireid_jax.report.page.network import Embedded

MAX_RANK = 20


def curve(embedded: Embedded, setting: str) -> np.ndarray:
  """Returns float64 [20] in [0, 1], the fraction of queries with a match among the first k."""
  comparison = embedded.comparisons[setting]
  similarity = comparison.similarity(embedded.features, normalize=embedded.normalize)
  return comparison.scores(similarity, embedded.records).summary(MAX_RANK)["cmc"]


def draw(runs: dict[str, Embedded], folder: figures.Folder) -> list[figures.Drawn]:
  """Draws a figure per setting, with a line for each run that has it.

  Args:
    runs: Runs by label.
    folder: Folder for the figures.
  """
  settings = dict.fromkeys(name for embedded in runs.values() for name in embedded.comparisons)
  return [_draw(setting, runs, folder) for setting in settings]


def _draw(setting: str, runs: dict[str, Embedded], folder: figures.Folder) -> figures.Drawn:
  lines = {
    label: 100 * curve(embedded, setting)
    for label, embedded in runs.items()
    if setting in embedded.comparisons
  }
  with figures.style():
    figure, axes = figures.new()
    ranks = np.arange(1, MAX_RANK + 1)
    for label, rates in lines.items():
      words = f"{figures.short(label)}: {rates[0]:.1f} at 1"
      axes.plot(ranks, rates, marker="o", markersize=3, label=words)
    axes.set(title=setting, xlabel="rank", ylabel="queries with a match, %")
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.set_ylim(max(0, min(rates[0] for rates in lines.values()) - 10), 101)
    axes.legend(loc="lower right")
  text = f"CMC, {setting}: " + "; ".join(
    f"{label} rank-1 {rates[0]:.2f} %, rank-10 {rates[9]:.2f} %" for label, rates in lines.items()
  )
  return folder.save(figure, f"cmc {setting}", text=text)
