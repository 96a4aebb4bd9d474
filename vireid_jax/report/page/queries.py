"""Scores of individual queries: intervals, the distribution of AP, and rank-1 per camera pair."""

import dataclasses

import numpy as np

from vireid_jax.common.records import MODALITIES
from vireid_jax.evaluators.query_scores import QueryScores
from vireid_jax.report.page import figures
from vireid_jax.report.page.network import Embedded

DRAWS = 1000
COVERAGE = 0.95
BINS = 20
TILES = ("rank-1", "mAP", "mINP")


def by_query(embedded: Embedded, setting: str) -> dict[str, np.ndarray]:
  """Returns rank-1, AP and INP of each query with a match, averaged over the trials.

  Args:
    embedded: Network and features.
    setting: Setting of the protocol. If its queries are drawn, each trial's count separately.

  Returns:
    float64 [q] in [0, 1] for each name of `TILES`, whose means are the setting's metrics.
  """
  trials = embedded.scores[setting]
  drawn = [comparison.queries for comparison in embedded.trials(setting)]
  if any(not np.array_equal(rows, drawn[0]) for rows in drawn):
    trials = [QueryScores.concatenate(trials)]
  valid = np.stack([each.first_match >= 0 for each in trials])
  count = valid.sum(axis=0)
  scores = {
    "rank-1": [each.first_match == 0 for each in trials],
    "mAP": [each.average_precision for each in trials],
    "mINP": [each.inverse_negative_penalty for each in trials],
  }
  found = {name: (np.stack(each) * valid).sum(axis=0) for name, each in scores.items()}
  return {name: each[count > 0] / count[count > 0] for name, each in found.items()}


def bootstrap(values: np.ndarray, draws: int = DRAWS) -> tuple[float, float]:
  """Returns the 95 % percentile interval of the mean of values float [n], deterministically.

  Reference:
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
  """
  generator = np.random.default_rng(0)
  means = [generator.choice(values, len(values)).mean() for _ in range(draws)]
  low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
  return float(low), float(high)


def draw(runs: dict[str, Embedded], folder: figures.Folder) -> list[figures.Drawn]:
  """Draws the distribution of the queries' average precision, a line per run."""
  found = {label: by_query(each, each.headline)["mAP"] for label, each in runs.items()}
  found = {label: 100 * values for label, values in found.items() if len(values)}
  if not found:
    return []
  colors, edges = figures.colors(runs), np.linspace(0, 100, BINS + 1)
  with figures.style():
    figure, axes = figures.new()
    for label, values in found.items():
      shares = 100 * np.histogram(values, edges)[0] / len(values)
      words = f"{figures.short(label)}: mean {values.mean():.2f}, median {np.median(values):.2f}"
      axes.stairs(shares, edges, fill=len(found) == 1, alpha=0.3, color=colors[label])
      axes.stairs(shares, edges, color=colors[label], linewidth=1.6, label=words)
    axes.set(title="average precision of the queries", xlabel="average precision, %")
    axes.set(ylabel="queries, %", xlim=(0, 100), ylim=(0, None))
    figures.legend_below(figure, axes)
  text = "Distribution of average precision: " + "; ".join(
    f"{label} mean {values.mean():.2f} %, median {np.median(values):.2f} %, "
    f"{100 * np.mean(values < 10):.0f} % of {len(values)} queries below 10 %"
    for label, values in found.items()
  )
  return [folder.save(figure, "average precision", text=text, caption=text.partition(": ")[2])]


@dataclasses.dataclass(frozen=True)
class CameraPairs:
  """Rank-1 for each pair of a query camera and a gallery camera.

  Attributes:
    queries, gallery: Names of the cameras, with their modality.
    rates: float64 [a, b] in [0, 1]; NaN where no query has a match.
    counts: int64 [a, b], queries with a match, over all trials.
  """

  queries: list[str]
  gallery: list[str]
  rates: np.ndarray
  counts: np.ndarray


def camera_pairs(embedded: Embedded, setting: str) -> CameraPairs:
  """Ranks the gallery images of one camera at a time, for the queries of each camera.

  Queries without a match in the gallery camera, or to whom the protocol shows none, do not count.
  """
  known = embedded.records
  key = known.camera * len(MODALITIES) + known.modality  # numbers may be shared by modalities
  hits, counts = np.zeros((2, int(key.max()) + 1, int(key.max()) + 1))
  for comparison in embedded.trials(setting):
    similarity = embedded.similarity(comparison)
    right = known.identity[comparison.queries][:, None] == known.identity[comparison.gallery]
    shown = np.ones_like(right) if comparison.exclude is None else ~comparison.exclude
    for camera in np.unique(key[comparison.gallery]):
      columns = np.flatnonzero(key[comparison.gallery] == camera)
      scores = np.where(shown[:, columns], similarity[:, columns], -np.inf)
      valid = (right & shown)[:, columns].any(axis=1)
      hit = right[np.arange(len(right)), columns[scores.argmax(axis=1)]] & valid
      np.add.at(hits[:, camera], key[comparison.queries], hit)
      np.add.at(counts[:, camera], key[comparison.queries], valid)
  rows, columns = (np.flatnonzero(counts.sum(axis=axis)) for axis in (1, 0))
  hits, counts = hits[np.ix_(rows, columns)], counts[np.ix_(rows, columns)].astype(np.int64)
  rates = np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)
  return CameraPairs(*([_camera(each) for each in side] for side in (rows, columns)), rates, counts)


def _camera(key: int) -> str:
  camera, modality = divmod(int(key), len(MODALITIES))
  return f"camera {camera}, {MODALITIES[modality]}"


def to_page(label: str, embedded: Embedded) -> dict[str, object]:
  """Returns a run's camera pairs as data for the template."""
  found = camera_pairs(embedded, embedded.headline)
  rows = [
    (
      name,
      [
        (None if np.isnan(rate) else float(rate), int(count))
        for rate, count in zip(rates, counts, strict=True)
      ],
    )
    for name, rates, counts in zip(found.queries, found.rates, found.counts, strict=True)
  ]
  return {"label": label, "setting": embedded.headline, "cameras": found.gallery, "rows": rows}
