"""Features of some identities, projected to two dimensions."""

import numpy as np

from vireid_jax.common.records import MODALITIES, Records
from vireid_jax.evaluators.similarity import l2_normalize
from vireid_jax.report.page import figures
from vireid_jax.report.page.network import Embedded

IDENTITIES = 20  # as many as there are colours that can be told apart
IMAGES = 20  # per identity and modality
PERPLEXITY = 30
MARKERS = ("o", "^")  # visible, infrared


def sample(records: Records) -> np.ndarray:
  """Samples evenly spaced identities that have both modalities, and evenly spaced images of each.

  Returns:
    int [m], rows of the records.
  """
  both = [np.unique(records.identity[records.modality == side]) for side in range(len(MODALITIES))]
  rows = []
  for identity in _spread(np.intersect1d(*both), IDENTITIES):
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
  mapper = TSNE(init="pca", perplexity=perplexity, random_state=0)
  # With so few points, threads only wait for each other: for minutes on a busy machine.
  with threadpool_limits(1):
    return mapper.fit_transform(l2_normalize(np.asarray(features, np.float32)))


def draw(label: str, embedded: Embedded, folder: figures.Folder) -> list[figures.Drawn]:
  """Draws the projection, coloured by identity, a marker per modality; skips < 5 images."""
  rows = sample(embedded.records)
  if len(rows) < 5 or embedded.features.shape[1] < 2:
    return []
  records, points = embedded.records.take(rows), project(embedded.features[rows])
  identities = records.identities()
  with figures.style():
    figure, axes = figures.new(size=(5.2, 5.4))
    _scatter(axes, points, records, identities)
    axes.set(title=figures.short(label), xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
  text = (
    f"{label}: t-SNE of {len(rows)} test features of {len(identities)} identities; circles are "
    "visible images, triangles infrared ones"
  )
  caption = f"{len(rows)} images of {len(identities)} identities; axes have no unit"
  return [folder.save(figure, f"projection {label}", text=text, caption=caption, vector=False)]


def _scatter(axes, points: np.ndarray, records: Records, identities: np.ndarray) -> None:
  import matplotlib

  colors = matplotlib.colormaps["tab20"](np.searchsorted(identities, records.identity) % 20)
  for side, marker in enumerate(MARKERS):
    mine = records.modality == side
    options = {"marker": marker, "s": 16, "linewidths": 0.3, "edgecolors": "#333333"}
    # Hundreds of points: rasterised even in the SVG.
    axes.scatter(*points[mine].T, c=colors[mine], rasterized=True, **options)
    axes.scatter([], [], c="#999999", label=MODALITIES[side], **options)


def _spread(values: np.ndarray, count: int) -> np.ndarray:
  if len(values) <= count:
    return values
  return values[np.linspace(0, len(values) - 1, count).round().astype(int)]
