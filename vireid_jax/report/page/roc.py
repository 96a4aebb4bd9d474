"""ROC and DET: how well one threshold on the similarity tells pairs of identities apart."""

import dataclasses

import numpy as np

from vireid_jax.report.page import figures
from vireid_jax.report.page.histograms import Histogram
from vireid_jax.report.page.runs import PageRun

ACROSS = "visible to infrared"
# The names of pairs in records.
RECORDED = {
  "visible-infrared": ACROSS,
  "visible-visible": "visible to visible",
  "infrared-infrared": "infrared to infrared",
}
LOWEST = 1e-5  # false accept rate on the left; records have none below


@dataclasses.dataclass(frozen=True)
class Roc:
  """Rates at all thresholds, from the highest threshold to the lowest.

  Attributes:
    far: float64 [n] in [0, 1], share of pairs of different identities that are accepted.
    tar: float64 [n] in [0, 1], share of pairs of the same identity that are accepted.
    least: Lowest false accept rate that the number of pairs can show.
  """

  far: np.ndarray
  tar: np.ndarray
  least: float

  @property
  def equal_error_rate(self) -> float:
    """Rate at which as many wrong pairs are accepted as right ones are rejected."""
    gap = self.far - (1 - self.tar)
    after = min(int(np.argmax(gap >= 0)), len(gap) - 1)
    before = max(after - 1, 0)
    if gap[after] == gap[before]:
      return float((self.far[after] + 1 - self.tar[after]) / 2)
    share = np.clip(-gap[before] / (gap[after] - gap[before]), 0, 1)
    return float(self.far[before] + share * (self.far[after] - self.far[before]))


def of_histogram(found: Histogram) -> Roc | None:
  """Computes rates at the edges of a histogram's bins; None without pairs of both kinds."""
  if not (found.same.sum() and found.different.sum()):
    return None
  accepted = [np.r_[0, np.cumsum(counts[::-1])] for counts in (found.different, found.same)]
  far, tar = (counts / counts[-1] for counts in accepted)
  return Roc(far, tar, max(LOWEST, 1 / int(found.different.sum())))


def of_record(run: PageRun) -> dict[str, Roc]:
  """Returns the recorded rates of a run's first feature by pair of modalities; may be empty."""
  for record in sorted(run.records, key=lambda record: len(record.path.name)):
    for pairs in record.stored.get("verification", {}).values():
      return {
        RECORDED[name]: Roc(*np.array(found["roc"], float).T, max(LOWEST, 1 / found["impostor"]))
        for name, found in pairs.items()
        if name in RECORDED
      }
  return {}


def draw(runs: dict[str, dict[str, Roc]], folder: figures.Folder) -> list[figures.Drawn]:
  """Draws ROC and DET: of one run a line per pair of modalities, of several one across them.

  Args:
    runs: Rates by pair of modalities for each run.
    folder: Folder for the figures.
  """
  runs = {label: pairs for label, pairs in runs.items() if pairs}
  if len(runs) == 1:
    (lines,) = runs.values()
    title, colors = "", figures.colors(lines)
  else:
    lines = {label: pairs[ACROSS] for label, pairs in runs.items() if ACROSS in pairs}
    title, colors = f", {ACROSS}", figures.colors(runs)
  if not lines:
    return []
  return [
    _draw(f"ROC{title}", lines, colors, folder),
    _draw(f"DET{title}", lines, colors, folder, errors=True),
  ]


def _draw(title, lines: dict[str, Roc], colors, folder, *, errors=False) -> figures.Drawn:
  with figures.style():
    figure, axes = figures.new()
    for label, found in lines.items():
      shown = (found.far >= found.least) & ((found.tar < 1) if errors else True)
      rates = 100 * (1 - found.tar if errors else found.tar)
      words = f"{figures.short(label)}: EER {100 * found.equal_error_rate:.2f} %"
      axes.plot(100 * found.far[shown], rates[shown], color=colors[label], label=words)
    axes.set_xscale("log")
    axes.set(title=title, xlabel="false accept rate, %")
    if errors:
      axes.set_yscale("log")
      axes.set(ylabel="false reject rate, %")
    else:
      axes.set(ylabel="true accept rate, %", ylim=(0, 101))
    for axis in (axes.xaxis, axes.yaxis):
      axis.set_major_formatter("{x:g}")
      axis.set_minor_formatter("")
    figures.legend_below(figure, axes)
  text = f"{title}: " + "; ".join(
    f"{label} equal error rate {100 * found.equal_error_rate:.2f} %"
    for label, found in lines.items()
  )
  return folder.save(figure, title, text=text)
