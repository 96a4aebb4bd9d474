"""Losses against the authors' values, plain restatements, and degenerate batches."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import losses

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "losses.npz")

CASES = {
  "batch_hard_triplet_m0.3": lambda x, y: losses.batch_hard_triplet(x, y, margin=0.3),
  "center_cluster_m0.7": lambda x, y: losses.center_cluster(x, y, margin=0.7),
  "wrt": lambda x, y: losses.weighted_regularized_triplet(x, y, legacy=True),
  "wrt_normalized": lambda x, y: losses.weighted_regularized_triplet(
    x, y, normalize=True, legacy=True
  ),
}
STABLE = {
  **CASES,
  "enhanced_squared_difference": losses.enhanced_squared_difference,
  "wrt_stable": losses.weighted_regularized_triplet,
}
DEGENERATE = {
  "one identity": (np.random.default_rng(0).normal(size=(6, 5)), np.zeros(6, int)),
  "duplicated rows": (np.repeat(np.eye(3, 5), 2, axis=0), np.repeat(np.arange(3), 2)),
  "all equal": (np.ones((6, 5)), np.repeat(np.arange(3), 2)),
  "all zero": (np.zeros((6, 5)), np.repeat(np.arange(3), 2)),
  "every identity once": (np.random.default_rng(1).normal(size=(6, 5)), np.arange(6)),
  "far apart": (np.random.default_rng(2).normal(size=(6, 5)) * 1e4, np.repeat(np.arange(3), 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_the_authors(name):
  features, labels = jnp.asarray(GOLDEN["features"]), jnp.asarray(GOLDEN["labels"])
  value, gradient = jax.value_and_grad(CASES[name])(features, labels)
  np.testing.assert_allclose(value, GOLDEN[name], rtol=1e-5)
  expected = GOLDEN[f"{name}_grad"]
  assert np.abs(gradient - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("name", STABLE)
def test_finite_in_degenerate_batches(name, case):
  features, labels = DEGENERATE[case]
  value, gradient = jax.value_and_grad(STABLE[name])(jnp.float32(features), jnp.asarray(labels))
  assert np.isfinite(value)
  assert np.isfinite(gradient).all()


def test_stable_wrt_equals_its_formula():
  rng = np.random.default_rng(3)
  x, y = rng.normal(size=(8, 4)) * 9, np.repeat(np.arange(4), 2)
  total = 0.0
  for i in range(8):
    d = np.linalg.norm(x - x[i], axis=1)
    same = y == y[i]
    w_positive = np.exp(d[same]) / np.exp(d[same]).sum()
    w_negative = np.exp(-d[~same]) / np.exp(-d[~same]).sum()
    total += np.log1p(np.exp((w_positive * d[same]).sum() - (w_negative * d[~same]).sum()))
  value = losses.weighted_regularized_triplet(jnp.float32(x), jnp.asarray(y))
  np.testing.assert_allclose(value, total / 8, rtol=1e-4)


def test_batch_hard_triplet_by_hand():
  features = jnp.array([[0.0], [1.0], [3.0], [7.0]])
  labels = jnp.array([0, 0, 1, 1])
  # Hardest positives 1, 1, 4, 4; hardest negatives 3, 2, 2, 6; hinges with margin 2: 0, 1, 4, 0.
  value = losses.batch_hard_triplet(features, labels, margin=2.0)
  np.testing.assert_allclose(value, 5 / 4, rtol=1e-6)


def test_cross_entropy_by_hand_and_smoothed():
  logits = jnp.log(jnp.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]))
  labels = jnp.array([0, 2])
  np.testing.assert_allclose(
    losses.cross_entropy(logits, labels), -np.log([0.7, 0.8]).mean(), rtol=1e-6
  )
  uniform = -np.log([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]).mean()
  expected = 0.9 * -np.log([0.7, 0.8]).mean() + 0.1 * uniform
  np.testing.assert_allclose(
    losses.cross_entropy(logits, labels, label_smoothing=0.1), expected, rtol=1e-6
  )


def test_cross_entropy_of_large_logits_is_finite():
  value = losses.cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]))
  np.testing.assert_allclose(value, 2e4)


def test_distances_equal_norms_and_never_reach_zero():
  x, y = np.random.default_rng(4).normal(size=(2, 5, 7))
  expected = np.linalg.norm(x[:, None] - y[None], axis=2)
  np.testing.assert_allclose(
    losses.pairwise_distance(jnp.float32(x), jnp.float32(y)), expected, rtol=1e-5
  )
  equal = losses.pairwise_distance(jnp.ones((2, 3)))
  np.testing.assert_allclose(equal, 1e-6)


def test_center_cluster_by_hand_with_unequal_counts():
  features = jnp.array([[0.0], [2.0], [3.0], [3.0], [3.0], [4.5]])
  labels = jnp.array([0, 0, 1, 1, 1, 2])
  # Centres 1, 3, 4.5; spread (1 + 1 + 0 + 0 + 0 + 0) / 6; hinges of margin 3 over the pairs:
  # 3 - 2, 0, 3 - 1.5.
  value = losses.center_cluster(features, labels, margin=3.0)
  np.testing.assert_allclose(value, 2 / 6 + (1 + 0 + 1.5) / 3, rtol=1e-5)


def test_separation_by_hand():
  masks = np.random.default_rng(5).uniform(size=(3, 4, 2, 3)).astype(np.float32)
  pairs = sum((masks[..., i] * masks[..., j]).sum((1, 2)) for i, j in ((0, 1), (0, 2), (1, 2)))
  np.testing.assert_allclose(losses.separation(jnp.asarray(masks)), pairs.mean() / 3, rtol=1e-5)


def test_divergence_by_hand_and_of_equal_scores():
  p, q = np.array([[0.7, 0.2, 0.1]]), np.array([[0.5, 0.25, 0.25]])
  expected = (p * np.log(p / q)).sum()
  value = losses.divergence(jnp.log(jnp.asarray(p)), jnp.log(jnp.asarray(q)) + 3)
  np.testing.assert_allclose(value, expected, rtol=1e-4)
  assert float(losses.divergence(jnp.ones((2, 3)), jnp.zeros((2, 3)))) == 0
