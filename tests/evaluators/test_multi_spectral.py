"""Multi-spectral re-ranking against a plain implementation, its mark, and its embedding passes."""

from types import SimpleNamespace

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import (
  multi_spectral,
  protocols,
  reranking,
  reranking_dense,
  transductive,
)
from vireid_jax.evaluators.multi_spectral import MultiSpectral, multi_spectral_distance
from vireid_jax.evaluators.ranking import evaluate_ranking
from vireid_jax.evaluators.suite import Suite
from vireid_jax.experiment.evaluation import Evaluation


def unit(x):
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def plain(query, gallery, k1, k2, lambda_value):
  """The published steps, written one image at a time."""
  images = unit(np.concatenate([*query, *gallery]))
  count, queries = len(images), sum(map(len, query))
  square = ((images[:, None] - images[None]) ** 2).sum(axis=-1)
  scaled = square / square.max(axis=1, keepdims=True)
  looked_up = square.copy()
  looked_up[:, queries:] = square.max()
  order = np.argsort(looked_up, axis=1, kind="stable")
  encoding = np.zeros((count, count))
  for i in range(count):
    reciprocal = [j for j in order[i, : k1 + 1] if i in order[j, : k1 + 1]]
    for j in reciprocal:
      encoding[i, j] = np.exp(-scaled[i, j])
    encoding[i] /= max(encoding[i].sum(), 1e-300)
  encoding = np.stack([encoding[order[i, :k2]].mean(axis=0) for i in range(count)])
  distance = np.empty((queries, count - queries))
  for i in range(queries):
    for j in range(queries, count):
      overlap = np.minimum(encoding[i], encoding[j]).sum()
      jaccard = 1 - overlap / (2 - overlap)
      distance[i, j - queries] = (1 - lambda_value) * jaccard + lambda_value * scaled[i, j]
  found = np.zeros((len(query[0]), len(gallery[0])))
  for v in range(len(query)):
    for w in range(len(gallery)):
      rows = slice(v * len(query[0]), (v + 1) * len(query[0]))
      columns = slice(w * len(gallery[0]), (w + 1) * len(gallery[0]))
      found += distance[rows, columns] / len(query) / len(gallery)
  return found


def images(versions, count, seed):
  """Features with clusters, in versions that differ a little."""
  rng = np.random.default_rng(seed)
  centers = np.random.default_rng(0).normal(size=(6, 12))
  base = centers[rng.integers(0, 6, count)] + 0.6 * rng.normal(size=(count, 12))
  return [base + 0.3 * rng.normal(size=base.shape) for _ in range(versions)]


@pytest.mark.parametrize("k1, k2, lambda_value", [(40, 20, 0.3), (8, 4, 0.1), (3, 1, 1.0)])
@pytest.mark.parametrize("versions", [(1, 4), (4, 1), (1, 1), (4, 4)])
def test_distances_equal_the_plain_implementation(versions, k1, k2, lambda_value):
  query, gallery = images(versions[0], 24, 1), images(versions[1], 15, 2)
  ours = multi_spectral_distance(query, gallery, k1=k1, k2=k2, lambda_value=lambda_value)
  np.testing.assert_allclose(ours, plain(query, gallery, k1, k2, lambda_value), atol=1e-12)


def test_an_accelerator_encodes_without_expansion_too():
  features = unit(np.concatenate(images(2, 20, 5))).astype(np.float32)
  distances = np.maximum(2 - 2 * features @ features.T, 0)
  np.fill_diagonal(distances, 0)
  options = {"k1": 8, "k2": 4, "lambda_value": 0.3, "query_only": True, "expand": False}
  dense = reranking_dense.rerank(distances, 25, **options)
  np.testing.assert_allclose(dense, reranking.rerank(distances, 25, **options), atol=1e-5)
  expanded = reranking.rerank(distances, 25, **options | {"expand": True})
  assert np.abs(dense - expanded).max() > 1e-3


@pytest.mark.parametrize("visible", ["query", "gallery"])
def test_the_ranker_takes_versions_of_the_side_that_has_them(visible):
  several, one = images(4, 20, 1), images(1, 12, 2)
  sides = (several, one * 4) if visible == "query" else (one * 4, several)
  expected = (several, one) if visible == "query" else (one, several)
  query, gallery = map(multi_spectral.joined, sides)
  ranker = MultiSpectral(k1=8, k2=4).ranker(query, normalize=False)
  found = ranker.similarity(gallery, np.zeros((len(query), len(gallery))))
  np.testing.assert_allclose(-found, plain(*expected, 8, 4, 0.3), atol=1e-12)


def test_versions_are_channels_replicated():
  image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
  found = [change("x.jpg", image) for change in multi_spectral.changes()]
  assert len(found) == 3
  for channel, version in enumerate(found):
    assert version.dtype == np.uint8 and version.shape == image.shape
    for copy in range(3):
      np.testing.assert_array_equal(version[..., copy], image[..., channel])


def test_nothing_to_rank_is_left_to_the_caller():
  query = np.ones((3, 8))
  ranker = MultiSpectral().ranker(query, normalize=True)
  assert ranker.similarity(np.empty((0, 8)), np.empty((3, 0))).shape == (3, 0)


@pytest.mark.parametrize("options", [{"k1": 0}, {"k2": -1}, {"lambda_value": 1.5}, {"k1": 2.5}])
def test_wrong_options_are_refused(options):
  with pytest.raises(UserError, match="of the multi-spectral re-ranking"):
    MultiSpectral(**options)


def regdb_task():
  """Records of one visible and one infrared camera, and features of their images' versions."""
  identity, modality = np.arange(40) // 2 % 10, np.arange(40) // 20
  records = Records(identity, 1 + modality, modality, [f"{n}.jpg" for n in range(40)])
  versions = [version.astype(np.float32) for version in images(4, 40, 3)]
  for version in versions[1:]:
    version[modality == INFRARED] = versions[0][modality == INFRARED]
  return records, versions


def test_results_are_added_and_marked_and_rank_by_the_distance():
  records, versions = regdb_task()
  options = MultiSpectral(k1=6, k2=3)
  suite = Suite(protocols.create("regdb"), mser=options)
  spectra = {"neck": multi_spectral.joined(versions)}
  found = suite.evaluate({"neck": versions[0]}, records, {}, spectra=spectra)
  assert list(found) == [
    *("visible_to_infrared", "infrared_to_visible"),
    *("visible_to_infrared/mser", "infrared_to_visible/mser"),
  ]
  sides = [np.flatnonzero(records.modality == side) for side in (VISIBLE, INFRARED)]
  for name, (query, gallery) in zip(list(found)[2:], (sides, sides[::-1]), strict=True):
    both = [
      [version[rows] for version in (versions if rows is sides[0] else versions[:1])]
      for rows in (query, gallery)
    ]
    similarity = -multi_spectral_distance(*both, k1=6, k2=3)
    expected = evaluate_ranking(similarity, records.identity[query], records.identity[gallery])
    assert found[name].mean["mAP"] == pytest.approx(expected["mAP"], abs=1e-9)
    assert found[name].mean["rank-1"] == pytest.approx(expected["cmc"][0], abs=1e-9)
    conditions = found[name].conditions
    assert conditions["transductive"] == "mser" and conditions["normalize"]
    assert conditions["mser"] == {"k1": 6, "k2": 3, "lambda_value": 0.3}
    assert "multi-spectral re-ranking (k1 6, k2 3, lambda 0.3)" in transductive.label(conditions)
  assert not found["visible_to_infrared"].is_transductive
  assert len(suite.evaluate({"neck": versions[0]}, records, {})) == 2  # without versions
  assert suite.quick().mser is None


def test_an_evaluation_embeds_the_visible_images_as_each_channel():
  """The features are the mean of each channel, so that the versions show in them."""
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (6, 2, 2, 3)).astype(np.uint8)
  modality = np.array([0, 1, 0, 1, 1, 0])

  class Pictures:
    def __init__(self, rows):
      self.rows = rows

    def take(self, rows):
      return Pictures(self.rows[rows])

  def embed(variables, pictures, change=lambda name, image: image):
    assert variables == "weights"
    shown = [change("x.jpg", pixels[row]).mean(axis=(0, 1)) for row in pictures.rows]
    return {"neck": np.array(shown), "pool": -np.array(shown)}

  evaluation = Evaluation.__new__(Evaluation)
  evaluation._images = Pictures(np.arange(6))
  evaluation._images.records = SimpleNamespace(modality=modality)
  evaluation._embedder = embed
  features = embed("weights", evaluation._images)
  found = evaluation._spectra("weights", features)
  means = pixels.mean(axis=(1, 2))
  for name, sign in (("neck", 1), ("pool", -1)):
    versions = np.split(found[name], 4, axis=1)
    np.testing.assert_allclose(versions[0], sign * means)
    for channel, version in enumerate(versions[1:]):
      expected = np.where(modality[:, None] == 0, means[:, channel : channel + 1], means)
      np.testing.assert_allclose(version, sign * expected)
