"""The shared-specific loss against its formula, degenerate batches, and numerical gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vireid_jax.losses.shared_specific import identity_means, shared_specific

LABELS = np.array([4, 4, 1, 1, 1, 7])


def draw(labels=LABELS, size=5, seed=0):
  """Returns shared and specific features of both modalities, [b, size] each."""
  return np.random.default_rng(seed).normal(size=(4, len(labels), size))


def restated(x, labels, margin=1.0):
  def centre(features, identity):
    mean = np.mean([f for f, y in zip(features, labels, strict=True) if y == identity], axis=0)
    return mean / np.linalg.norm(mean)

  shared, specific, decoupling = [], [], []
  for identity in np.unique(labels):
    shared_v, shared_r, specific_v, specific_r = (centre(features, identity) for features in x)
    shared.append(np.linalg.norm(shared_v - shared_r))
    specific.append(max(0, margin - np.linalg.norm(specific_v - specific_r)))
    decoupling.append(max(0, margin - np.linalg.norm(specific_v - shared_v)))
    decoupling.append(max(0, margin - np.linalg.norm(specific_r - shared_r)))
  return np.mean(shared), np.mean(specific), np.mean(decoupling)


@pytest.mark.parametrize("margin", [1.0, 1.6])
def test_parts_and_total_equal_the_formula(margin):
  x = draw()
  with jax.enable_x64(True):
    parts = shared_specific(tuple(x[:2]), tuple(x[2:]), jnp.asarray(LABELS), margin=margin)
    total = parts.total(specific_weight=0.3, decoupling_weight=0.7)
  expected = restated(x, LABELS, margin)
  np.testing.assert_allclose(parts, expected, rtol=1e-12)
  assert margin < 1.5 or min(expected) > 0.01
  np.testing.assert_allclose(total, np.dot(expected, (1, 0.3, 0.7)), rtol=1e-12)


def test_identity_means_by_hand():
  features = jnp.arange(6.0)[:, None]
  np.testing.assert_allclose(identity_means(features, LABELS)[:, 0], [0.5, 0.5, 3, 3, 3, 5])


def total(x, labels):
  return shared_specific((x[0], x[1]), (x[2], x[3]), labels).total()


DEGENERATE = {
  "one identity": (draw(), np.zeros(6, int)),
  "every identity once": (draw(), np.arange(6)),
  "a single pair": (draw(labels=[0]), np.zeros(1, int)),
  "all equal": (np.ones((4, 6, 5)), LABELS),
  "all zero": (np.zeros((4, 6, 5)), LABELS),
  "opposite": (draw() * np.array([1, -1, 1, -1])[:, None, None], LABELS),
  "far apart": (draw() * 1e4, LABELS),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_finite_in_degenerate_batches(case):
  x, labels = DEGENERATE[case]
  value, gradient = jax.value_and_grad(total)(jnp.float32(x), jnp.asarray(labels))
  assert np.isfinite(value) and value >= 0
  assert np.isfinite(gradient).all()


def test_equal_features_pay_both_margins():
  value = total(jnp.ones((4, 6, 5)), jnp.asarray(LABELS))
  np.testing.assert_allclose(value, 0.5 + 0.5, atol=1e-5)


def test_gradient_equals_differences():
  with jax.enable_x64(True):
    labels = jnp.asarray(LABELS)
    x = jnp.asarray(draw())
    parts = shared_specific((x[0], x[1]), (x[2], x[3]), labels, margin=1.9)
    assert min(parts) > 0
    check_grads(
      lambda x: shared_specific((x[0], x[1]), (x[2], x[3]), labels, margin=1.9).total(),
      (x,),
      order=1,
      modes=["rev"],
      rtol=1e-6,
    )
