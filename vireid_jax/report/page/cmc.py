"""CMC curves: mean over the trials of each setting, with a band."""

import numpy as np

from vireid_jax.report.page import figures
from vireid_jax.report.page.network import Embedded

MAX_RANK = 20


def curves(embedded: Embedded, setting: str) -> np.ndarray:
  """Returns float64 [trials, 20] in [0, 1], the share of queries with a match among the first k."""
  return np.stack([scores.summary(MAX_RANK)["cmc"] for scores in embedded.scores[setting]])


def draw(runs: dict[str, Embedded], folder: figures.Folder) -> list[figures.Drawn]:
  """Draws a figure per setting, with a line for each run that has it; all share one y-axis.

  Args:
    runs: Runs by label.
    folder: Folder for the figures.
  """
  panels: dict[str, dict[str, np.ndarray]] = {}
  for label, embedded in runs.items():
    for setting in embedded.scores:
      panels.setdefault(setting, {})[label] = 100 * curves(embedded, setting)
  lowest = min((lines.min() for panel in panels.values() for lines in panel.values()), default=0)
  limits = (max(0, 10 * np.floor((lowest - 1) / 10)), 101)
  colors = figures.colors(runs)
  return [_draw(setting, lines, limits, colors, folder) for setting, lines in panels.items()]


def _draw(setting, lines: dict[str, np.ndarray], limits, colors, folder) -> figures.Drawn:
  ranks = np.arange(1, MAX_RANK + 1)
  with figures.style():
    figure, axes = figures.new()
    for label, trials in lines.items():
      mean, low, high = trials.mean(axis=0), trials.min(axis=0), trials.max(axis=0)
      words = f"{figures.short(label)}: rank-1 {mean[0]:.2f}"
      axes.plot(ranks, mean, marker="o", markersize=3, label=words, color=colors[label])
      axes.fill_between(ranks, low, high, color=colors[label], alpha=0.2, linewidth=0)
    axes.set(title=setting, xlabel="rank", ylabel="queries with a match, %", ylim=limits)
    axes.set_xticks([1, 5, 10, 15, 20])
    figures.legend_below(figure, axes)
  text = f"CMC, {setting}: " + "; ".join(
    f"{label} rank-1 {mean[0]:.2f} %, rank-10 {mean[9]:.2f} %"
    for label, mean in ((label, trials.mean(axis=0)) for label, trials in lines.items())
  )
  counts = sorted({len(trials) for trials in lines.values()})
  caption = f"mean of {', '.join(map(str, counts))} trials; band: lowest to highest"
  return folder.save(
    figure, f"cmc {setting}", text=text, caption=caption if max(counts) > 1 else "one trial"
  )
