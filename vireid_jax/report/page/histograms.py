"""Histograms of similarity for pairs of the same and of different identities."""

import dataclasses

import numpy as np

from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.report.page import figures
from vireid_jax.report.page.network import Embedded

BINS = 4000  # fine enough to read rates at a threshold from them
DRAWN = 80
BLOCK = 1024  # rows compared at once: 1024 x 10,000 similarities are 40 MB
PAIRS = {
  "visible to infrared": (VISIBLE, INFRARED),
  "visible to visible": (VISIBLE, VISIBLE),
  "infrared to infrared": (INFRARED, INFRARED),
}
SAME, DIFFERENT = figures.COLORS[0], figures.COLORS[1]


@dataclasses.dataclass(frozen=True)
class Histogram:
  """Histogram of cosine similarities over equal bins of [-1, 1].

  Attributes:
    same, different: int64 [bins], numbers of pairs of the same and of different identities.
    mean_same, mean_different: Mean cosine; NaN without pairs.
  """

  same: np.ndarray
  different: np.ndarray
  mean_same: float
  mean_different: float

  def coarse(self, bins: int = DRAWN) -> "Histogram":
    """Merges bins so that `bins` are left, a divisor of their number."""
    merged = (counts.reshape(bins, -1).sum(axis=1) for counts in (self.same, self.different))
    return Histogram(*merged, self.mean_same, self.mean_different)

  @property
  def overlap(self) -> float:
    """Area shared by the two densities, in [0, 1]; 0 if a threshold separates them."""
    shares = [counts / max(counts.sum(), 1) for counts in (self.same, self.different)]
    return float(np.minimum(*shares).sum())


def count(features, identity, first: np.ndarray, second: np.ndarray, bins: int = BINS) -> Histogram:
  """Counts all pairs of distinct images, one of each side.

  Args:
    features: float [n, d].
    identity: int [n].
    first, second: int, rows of the two sides; if they are equal, each pair counts once.
    bins: Number of bins.
  """
  unit = l2_normalize(np.asarray(features, np.float32))
  within = first is second or np.array_equal(first, second)
  counts, sums = np.zeros((2, bins), np.int64), np.zeros(2)
  for start in range(0, len(first), BLOCK):
    rows = first[start : start + BLOCK]
    cosine = np.clip(unit[rows] @ unit[second].T, -1, 1)
    same = identity[rows][:, None] == identity[second][None]
    kept = np.ones_like(same)
    if within:
      kept = np.arange(len(second))[None] > np.arange(start, start + len(rows))[:, None]
    for side, chosen in enumerate((same & kept, ~same & kept)):
      values = cosine[chosen]
      counts[side] += np.histogram(values, bins, (-1, 1))[0]
      sums[side] += values.sum(dtype=np.float64)
  totals = counts.sum(axis=1)
  means = [value / total if total else np.nan for value, total in zip(sums, totals, strict=True)]
  return Histogram(counts[0], counts[1], *map(float, means))


def of_features(embedded: Embedded) -> dict[str, Histogram]:
  """Counts the pairs across and within the modalities, by name of `PAIRS`."""
  modality, identity = embedded.records.modality, embedded.records.identity
  sides = {side: np.flatnonzero(modality == side) for side in (VISIBLE, INFRARED)}
  return {
    name: count(embedded.features, identity, sides[a], sides[b])
    for name, (a, b) in PAIRS.items()
    if len(sides[a]) and len(sides[b])
  }


def shared_range(runs: dict[str, dict[str, Histogram]]) -> tuple[float, float]:
  """Returns the range of cosines that occur in any histogram of any run."""
  edges = np.linspace(-1, 1, DRAWN + 1)
  found = [each.coarse() for pairs in runs.values() for each in pairs.values()]
  used = np.flatnonzero(sum(each.same + each.different for each in found)) if found else []
  return (edges[used[0]] - 0.03, edges[used[-1] + 1] + 0.03) if len(used) else (-1.0, 1.0)


def draw(
  label: str, found: dict[str, Histogram], limits: tuple[float, float], folder: figures.Folder
) -> list[figures.Drawn]:
  """Draws a run's histograms, all on the x-axis `limits`."""
  return [_draw(label, name, each.coarse(), limits, folder) for name, each in found.items()]


def _draw(label: str, name: str, found: Histogram, limits, folder) -> figures.Drawn:
  edges = np.linspace(-1, 1, DRAWN + 1)
  with figures.style():
    figure, axes = figures.new(size=(4.4, 2.7))
    for counts, color, words in (
      (found.different, DIFFERENT, "different identities"),
      (found.same, SAME, "same identity"),
    ):
      density = counts / max(counts.sum(), 1) / (edges[1] - edges[0])
      axes.stairs(density, edges, fill=True, color=color, alpha=0.45, label=words)
      axes.stairs(density, edges, color=color, linewidth=1)
    axes.set(title=name, xlabel="cosine similarity", ylabel="density")
    axes.set(xlim=limits, ylim=(0, None))
    axes.legend()
  numbers = (
    f"same: mean {found.mean_same:.3f}, {found.same.sum():,} pairs; different: mean "
    f"{found.mean_different:.3f}, {found.different.sum():,} pairs; overlap "
    f"{100 * found.overlap:.1f} %"
  )
  text = f"{label}, {name}: similarity of the same and of different identities, {numbers}"
  return folder.save(figure, f"similarity {name} {label}", text=text, caption=numbers)
