"""Tests of k-reciprocal re-ranking against a plain restatement and the authors' stored results."""

import pathlib

import jax
import numpy as np
import pytest
from test_golden_evaluation import read_permutations

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import VISIBLE, Records
from vireid_jax.evaluators import reranking_dense
from vireid_jax.evaluators.protocols import sysu_mm01
from vireid_jax.evaluators.ranking import evaluate_ranking
from vireid_jax.evaluators.reranking import k_reciprocal_distance

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def plain_distance(query, gallery, k1=20, k2=6, lambda_value=0.3, query_only=False):
  """Restates the method image by image with sets, in float64."""
  images = np.concatenate([query, gallery]).astype(np.float64)
  squared = np.square(images[:, None] - images[None]).sum(axis=-1)
  scaled = squared / np.maximum(squared.max(axis=1, keepdims=True), 1e-300)
  looked_up = squared.copy()
  if query_only:
    looked_up[:, len(query) :] = squared.max()
  ranked = np.argsort(looked_up, axis=1, kind="stable")

  def reciprocal(i, k):
    return {int(j) for j in ranked[i, : k + 1] if i in ranked[j, : k + 1]}

  encoding = np.zeros_like(squared)
  for i in range(len(images)):
    start = reciprocal(i, k1)
    expanded = set(start)
    for j in start:
      candidate = reciprocal(j, round(k1 / 2))
      if len(candidate & start) > 2 / 3 * len(candidate):
        expanded |= candidate
    members = sorted(expanded)
    weights = np.exp(-scaled[i, members])
    encoding[i, members] = weights / max(weights.sum(), 1e-300)
  if k2 > 1:
    encoding = np.stack([encoding[ranked[i, :k2]].mean(axis=0) for i in range(len(images))])
  count = len(query)
  least = np.minimum(encoding[:count, None], encoding[None, count:]).sum(axis=-1)
  most = np.maximum(encoding[:count, None], encoding[None, count:]).sum(axis=-1)
  return (1 - lambda_value) * (1 - least / most) + lambda_value * scaled[:count, count:]


def unit(features):
  return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def golden():
  with np.load(GOLDEN / "evaluation.npz") as stored:
    return dict(stored)


@pytest.mark.parametrize(
  "settings",
  [
    {},
    {"k1": 7, "k2": 1},
    {"k1": 3, "k2": 9, "lambda_value": 0.0},
    {"k1": 40},
    {"lambda_value": 1.0},
    {"query_only": True},
    {"query_only": True, "k1": 4, "k2": 2},
  ],
)
def test_equals_the_plain_restatement(settings):
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(12, 8))
  query, gallery = (
    unit(centres[rng.integers(0, 12, count)] + 0.5 * rng.normal(size=(count, 8)))
    for count in (70, 50)
  )
  got = k_reciprocal_distance(query, gallery, **settings)
  want = plain_distance(query, gallery, **settings)
  np.testing.assert_allclose(got, want, atol=1e-6, rtol=0)


def test_blocks_do_not_show(monkeypatch):
  rng = np.random.default_rng(1)
  query, gallery = unit(rng.normal(size=(40, 6))), unit(rng.normal(size=(30, 6)))
  whole = k_reciprocal_distance(query, gallery)
  monkeypatch.setattr("vireid_jax.evaluators.reranking.BLOCK", 7)
  np.testing.assert_array_equal(k_reciprocal_distance(query, gallery), whole)


def test_equal_features_give_finite_distances_in_range():
  query, gallery = np.ones((30, 4)), np.ones((25, 4))
  got = k_reciprocal_distance(query, gallery)
  assert np.isfinite(got).all()
  assert got.min() >= 0
  assert got.max() <= 1


def test_equals_the_plain_restatement_at_the_stored_size(golden):
  query = unit(golden["query_features"].astype(np.float64))[:150]
  gallery = unit(golden["gallery_features"].astype(np.float64))[golden["agw_gallery_indices"]]
  got = k_reciprocal_distance(query, gallery)
  np.testing.assert_allclose(got, plain_distance(query, gallery), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stored_distance_of_the_authors(golden, dtype):
  query = unit(golden["query_features"].astype(np.float64)).astype(dtype)
  gallery = unit(golden["gallery_features"].astype(np.float64)).astype(dtype)
  got = k_reciprocal_distance(query, gallery[golden["agw_gallery_indices"]])
  error = np.abs(got - golden["rerank_distance"])
  # The reference sums in float16; one of its 51,552 entries is 2.06e-3 off the exact value.
  assert (error > 2e-3).sum() <= 1
  assert error.max() < 2.1e-3
  assert got.dtype == dtype


@pytest.mark.parametrize("mode", ["all", "indoor"])
def test_stored_results_of_the_authors(golden, mode):
  count = len(golden["gallery_ids"])
  gallery = Records(
    golden["gallery_ids"],
    golden["gallery_cams"],
    np.full(count, VISIBLE),
    golden["gallery_names"],
  )
  metadata = {"gallery_permutations": read_permutations(GOLDEN / "rand_perm_cam.mat")}
  drawn = sysu_mm01.gallery_rows(
    gallery, metadata, mode=mode, shots=1, gallery="official", trials=10
  )
  query = unit(golden["query_features"])
  features = unit(golden["gallery_features"])
  trials = []
  for rows in drawn:
    near = (golden["query_cams"][:, None] == 3) & (gallery.camera[rows] == 2)[None]
    found = evaluate_ranking(
      -k_reciprocal_distance(query, features[rows], query_only=True),
      golden["query_ids"],
      gallery.identity[rows],
      exclude=near,
      unique_identities=True,
    )
    trials.append([found["mAP"], *found["cmc"][[0, 4, 9, 19]]])
  got = 100 * np.mean(trials, axis=0)
  # The reference sums in float16, which moves one of 3,580 lists (0.028 points) across a rank.
  np.testing.assert_allclose(got, golden[f"sysu_{mode}_shot1_rerank"], atol=0.03, rtol=0)


@pytest.mark.parametrize("wrong", [{"k1": 0}, {"k2": 0}, {"lambda_value": 1.5}])
def test_parameters_out_of_range(wrong):
  (name,) = wrong
  with pytest.raises(UserError, match=f"{name} of the re-ranking .*must be"):
    k_reciprocal_distance(np.eye(3), np.eye(3), **wrong)


def test_empty_gallery():
  with pytest.raises(UserError, match="3 queries and 0 gallery images"):
    k_reciprocal_distance(np.eye(3), np.zeros((0, 3)))


AMONG_QUERIES = {"query_only": True, "k1": 4}


@pytest.mark.parametrize("settings", [{}, AMONG_QUERIES, {**AMONG_QUERIES, "k2": 1}])
def test_dense_form_equals_the_plain_restatement(settings):
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(12, 8))
  query, gallery = (
    unit(centres[rng.integers(0, 12, count)] + 0.5 * rng.normal(size=(count, 8)))
    for count in (70, 50)
  )
  images = np.concatenate([query, gallery])
  squared = np.square(images[:, None] - images[None]).sum(axis=-1)
  options = {"k1": 20, "k2": 6, "lambda_value": 0.3, "query_only": False, **settings}
  want = plain_distance(query, gallery, **settings)
  with jax.enable_x64(True):
    got = reranking_dense.rerank(squared, len(query), **options)
  np.testing.assert_allclose(got, want, atol=1e-6, rtol=0)


def test_dense_form_agrees_with_the_stored_distance_of_the_authors(golden, monkeypatch):
  monkeypatch.setattr("vireid_jax.runtime.platform.is_cpu", lambda: False)
  query = unit(golden["query_features"].astype(np.float64)).astype(np.float32)
  gallery = unit(golden["gallery_features"].astype(np.float64)).astype(np.float32)
  got = k_reciprocal_distance(query, gallery[golden["agw_gallery_indices"]])
  error = np.abs(got - golden["rerank_distance"])
  assert (error > 2e-3).sum() <= 1
  assert error.max() < 2.1e-3
