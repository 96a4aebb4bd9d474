"""Features of some identities, projected to two dimensions."""

import numpy as np

from vireid_jax.common.records import MODALITIES, Records
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.report.page import figures
from vireid_jax.report.page.network import Embedded

IDENTITIES = 20  # as many as there are colours that can be told apart
IMAGES = 20  # per identity and modality
PERPLEXITY = 30
ITERATIONS = 500  # 250 with early exaggeration; twice as many lower the divergence by 2 %
SIZE = (5.6, 5.8)  # inches
LARGER = {"font.size": 11.5, "axes.titlesize": 12.5, "legend.fontsize": 11}  # for phones
MARKERS = ("o", "^")  # visible, infrared


def sample(records: Records) -> np.ndarray:
  """Samples evenly spaced identities that have both modalities, and evenly spaced images of each.

  Returns:
    int [m], rows of the records.
  """
  rows = []
  for identity in _spread(_in_both(records), IDENTITIES):
    for side in range(len(MODALITIES)):
      mine = np.flatnonzero((records.identity == identity) & (records.modality == side))
      rows.append(_spread(mine, IMAGES))
  return np.concatenate(rows) if rows else np.zeros(0, np.int64)


def project(features: np.ndarray) -> np.ndarray:
  """Projects L2-normalised features [m, d] to [m, 2] by t-SNE, deterministically.

  Reference:
    van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008.
  """
  from sklearn.manifold import TSNE
  from threadpoolctl import threadpool_limits  # scikit-learn needs it itself

  perplexity = min(PERPLEXITY, max(1, (len(features) - 1) / 3))
  mapper = TSNE(init="pca", perplexity=perplexity, max_iter=ITERATIONS, random_state=0)
  # With so few points, threads only wait for each other: for minutes on a busy machine.
  with threadpool_limits(1):
    return mapper.fit_transform(l2_normalize(np.asarray(features, np.float32)))


def modality_gap(features: np.ndarray, records: Records) -> float:
  """Returns the Euclidean distance between the modalities' mean unit features.

  Args:
    features: float [n, d].
    records: Records of the n images; identities seen in one modality only do not count.

  Returns:
    Number in [0, 2], 0 if the means coincide; NaN without an identity in both modalities.
  """
  both = _in_both(records)
  unit = l2_normalize(np.asarray(features, np.float32))
  means = []
  for side in range(len(MODALITIES)):
    rows = np.flatnonzero((records.modality == side) & np.isin(records.identity, both))
    means.append(unit[rows].mean(axis=0) if len(rows) else np.full(unit.shape[1], np.nan))
  return float(np.linalg.norm(means[0] - means[1]))


def draw(label: str, embedded: Embedded, folder: figures.Folder) -> list[figures.Drawn]:
  """Draws the projection twice, coloured by identity and by modality; skips < 5 images."""
  rows = sample(embedded.records)
  if len(rows) < 5 or embedded.features.shape[1] < 2:
    return []
  records, points = embedded.records.take(rows), project(embedded.features[rows])
  count, gap = len(records.identities()), modality_gap(embedded.features, embedded.records)
  captions = {
    "identity": f"{len(rows)} images of {count} identities; axes have no unit",
    "modality": f"modality gap {gap:.3f}",
  }
  return [_draw(label, by, points, records, captions[by], folder) for by in captions]


def _draw(label, by: str, points: np.ndarray, records: Records, caption, folder) -> figures.Drawn:
  with figures.style(LARGER):
    figure, axes = figures.new(size=SIZE)
    for side, (name, marker) in enumerate(zip(MODALITIES, MARKERS, strict=True)):
      mine = records.modality == side
      options = {"marker": marker, "s": 22, "linewidths": 0.4, "edgecolors": "#555555"}
      colors = _identity_colors(records)[mine] if by == "identity" else figures.COLORS[side]
      # Hundreds of points: rasterised even in the SVG.
      axes.scatter(*points[mine].T, c=colors, rasterized=True, **options)
      color = "#999999" if by == "identity" else figures.COLORS[side]
      axes.scatter([], [], c=color, label=name, **options)
    axes.set(title=f"{figures.short(label)}, by {by}", xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
  text = (
    f"{label}: t-SNE of {len(records)} test features, coloured by {by}; circles are visible "
    f"images, triangles infrared ones; {caption}"
  )
  return folder.save(figure, f"projection {by} {label}", text=text, caption=caption)


def _identity_colors(records: Records) -> np.ndarray:
  import matplotlib

  return matplotlib.colormaps["tab20"](np.searchsorted(records.identities(), records.identity) % 20)


def _in_both(records: Records) -> np.ndarray:
  """Returns the identities with images in both modalities, sorted."""
  sides = [np.unique(records.identity[records.modality == s]) for s in range(len(MODALITIES))]
  return np.intersect1d(*sides)


def _spread(values: np.ndarray, count: int) -> np.ndarray:
  if len(values) <= count:
    return values
  return values[np.linspace(0, len(values) - 1, count).round().astype(int)]
