"""DEEN's losses against the authors' values, restatements, and degenerate batches."""

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import losses


def thirds(features):
  """Returns the original, first and second embeddings, each as (visible, infrared)."""
  return [jnp.split(part, 2) for part in jnp.split(features, 3)]


def cases(labels):
  one = labels[: len(labels) // 6]
  pair = losses.center_guided_pair_mining
  return {
    "triplet_m0.3": lambda x: losses.batch_hard_triplet(x, labels, margin=0.3),
    "cpm_01": lambda x: pair(thirds(x)[0], thirds(x)[1], one, margin=0.2),
    "cpm_02": lambda x: pair(thirds(x)[0], thirds(x)[2], one, margin=0.2),
    "ort": lambda x: losses.orthogonality(*jnp.split(x, 3)[1:]),
    "id": lambda x: losses.cross_entropy(x, labels),
  }


@pytest.mark.parametrize("name", ["triplet_m0.3", "cpm_01", "cpm_02", "ort", "id"])
def test_value_and_gradient_equal_the_authors(name):
  reference = golden_models.load("deen_losses")
  inputs = reference["logits" if name == "id" else "features"]
  with jax.enable_x64(True):
    loss = cases(jnp.asarray(reference["labels"]))[name]
    result = jax.jit(jax.value_and_grad(loss))(jnp.asarray(inputs, jnp.float64))
    value, gradient = map(np.asarray, result)
  np.testing.assert_allclose(value, reference[name], rtol=1e-8)
  expected = reference[f"{name}_grad"]
  assert np.abs(gradient - expected).max() <= 1e-7 * np.abs(expected).max()


def plain_cpm(v, i, gv, gi, margin):
  """Restates the loss for centres [p, d], without its gradient."""

  def far(x, y):
    return np.linalg.norm(x - y, axis=1)

  def nearest(x):
    distance = np.linalg.norm(x[:, None] - x[None], axis=2) + np.diag(np.full(len(x), np.inf))
    return distance.min(axis=1)

  total = 0.0
  for anchor, made, own in ((i, gv, v), (v, gi, i)):
    pull = far(anchor, made) + margin
    total += np.maximum(0, pull - far(own, made)).mean()
    total += sum(np.maximum(0, pull - nearest(x)).mean() for x in (made, own)) / 2
  return total / 2


def test_pair_mining_counts_identities_once_whatever_their_rows():
  centers = np.random.default_rng(0).normal(size=(4, 3, 5))
  repeats = [2, 1, 3]
  labels = jnp.repeat(jnp.array([7, 2, 4]), jnp.array(repeats))
  rows = [jnp.asarray(np.repeat(x, repeats, axis=0), jnp.float32) for x in centers]
  value = losses.center_guided_pair_mining(rows[:2], rows[2:], labels, margin=1.5)
  np.testing.assert_allclose(value, plain_cpm(*centers, 1.5), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_equal_features_cost_twice_the_margin_with_a_finite_gradient(scale):
  rows = jnp.full((6, 5), scale)
  labels = jnp.array([0, 0, 1, 1, 2, 2])
  value, gradient = jax.value_and_grad(
    lambda x: losses.center_guided_pair_mining((x, x), (x, x), labels, margin=0.2)
  )(rows)
  np.testing.assert_allclose(value, 0.4, rtol=1e-5)
  assert np.isfinite(gradient).all()


def test_one_identity_has_no_others_to_be_pushed_from():
  rows = jnp.asarray(np.random.default_rng(1).normal(size=(4, 4, 5)), jnp.float32)
  labels = jnp.zeros(4, int)
  value, gradient = jax.value_and_grad(
    lambda x: losses.center_guided_pair_mining(x[:2], x[2:], labels, margin=9.0)
  )(rows)
  v, i, gv, gi = np.asarray(rows).mean(axis=1)
  norm = np.linalg.norm
  expected = 9 + (norm(i - gv) - norm(v - gv) + norm(v - gi) - norm(i - gi)) / 2
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  assert np.isfinite(gradient).all()


def test_orthogonality_by_hand_and_below_zero():
  first, second = jnp.array([[1.0, 2.0], [3.0, 0.0]]), jnp.array([[-2.0, 1.0], [-1.0, 5.0]])
  np.testing.assert_allclose(losses.orthogonality(first, second), (0 - 3) / 6)
