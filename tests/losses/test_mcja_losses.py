"""MCJA's losses against the authors' values, the general soft rank, and degenerate batches."""

import functools

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from vireid_jax import losses

GOLDEN = golden_models.load("mcja_losses")
STRENGTHS = (0.5, 0.05, 0.01)


def in_float64(function, *arrays):
  """Returns value and gradient of a function of the first array."""
  with jax.enable_x64(True):
    first, *rest = (jnp.asarray(x, jnp.float64 if x.dtype.kind == "f" else x.dtype) for x in arrays)
    return map(np.asarray, jax.jit(jax.value_and_grad(function))(first, *rest))


def assert_near(value, gradient, name):
  np.testing.assert_allclose(value, GOLDEN[name], rtol=1e-8)
  expected = GOLDEN[f"{name}_grad"]
  assert np.abs(gradient - expected).max() <= 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("suffix", ["", "_balanced"])
def test_value_and_gradient_equal_the_authors(suffix):
  columns = [GOLDEN[f"{name}{suffix}"] for name in ("labels", "modality")]
  result = in_float64(losses.cross_modality_retrieval, GOLDEN["features"], *columns)
  assert_near(*result, f"cmr{suffix}")


def test_identity_term_equals_the_authors():
  assert_near(*in_float64(losses.cross_entropy, GOLDEN["logits"], GOLDEN["labels"]), "id")


@pytest.mark.parametrize("strength", STRENGTHS)
def test_soft_ranks_and_gradients_equal_torchsort(strength):
  name = f"soft_rank_{strength}"

  def weighted(x, cotangent):
    ranks = losses.soft_rank(x, strength=strength)
    return jnp.sum(ranks * cotangent), ranks

  with jax.enable_x64(True):
    inputs = (
      jnp.asarray(GOLDEN[f"soft_rank_{key}"], jnp.float64) for key in ("input", "cotangent")
    )
    gradient, ranks = map(np.asarray, jax.jit(jax.grad(weighted, has_aux=True))(*inputs))
  np.testing.assert_allclose(ranks, GOLDEN[name], rtol=1e-8)
  expected = GOLDEN[f"{name}_grad"]
  assert np.abs(gradient - expected).max() <= 1e-7 * np.abs(expected).max()


def ranked_by_regression(values, strength):
  """Ranks one row by scikit-learn's isotonic regression."""
  order = np.argsort(-values)
  s = values[order] / strength
  w = np.arange(len(values), 0, -1)
  ranks = np.empty(len(values))
  ranks[order] = s - isotonic_regression(s - w, increasing=False)
  return ranks


@pytest.mark.parametrize("strength", [5.0, 0.2, 0.01, 1e-4])
def test_soft_ranks_equal_isotonic_regression(strength):
  values = np.random.default_rng(0).uniform(size=(8, 33))
  values[0, 5] = values[0, 6]
  with jax.enable_x64(True):
    rank = jax.jit(functools.partial(losses.soft_rank, strength=strength))
    ours = np.asarray(rank(jnp.asarray(values)))
  expected = [ranked_by_regression(row, strength) for row in values]
  np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_masked_values_take_no_part():
  rng = np.random.default_rng(1)
  values, mask = rng.uniform(size=(6, 20)), rng.uniform(size=(6, 20)) < 0.6
  mask[0] = True
  with jax.enable_x64(True):

    def squares(x):
      ranks = losses.soft_rank(x, strength=0.05, mask=jnp.asarray(mask))
      return jnp.sum(jnp.where(mask, ranks, 0) ** 2), ranks

    compute = jax.jit(jax.grad(squares, has_aux=True))
    gradient, ranks = map(np.asarray, compute(jnp.asarray(values)))
  for row, chosen, ours in zip(values, mask, ranks, strict=True):
    np.testing.assert_allclose(ours[chosen], ranked_by_regression(row[chosen], 0.05), atol=1e-9)
  assert np.isfinite(gradient).all() and not gradient[~mask].any()


def batch(rows, seed=0):
  rng = np.random.default_rng(seed)
  features = rng.normal(size=(rows, 5))
  return features, rng.integers(0, 3, rows), rng.integers(0, 2, rows)


def by_soft_ranks(features, labels, modality, strength):
  """The loss as the paper says it, one query after the other."""
  unit = features / np.linalg.norm(features, axis=1, keepdims=True)
  directions = []
  for side in (0, 1):
    gallery, found = np.flatnonzero(modality != side), []
    for query in np.flatnonzero(modality == side):
      match = labels[gallery] == labels[query]
      if match.any() and not match.all():
        ranks = ranked_by_regression((1 - unit[gallery] @ unit[query]) / 2, strength)
        found.append(np.abs(ranks - np.where(match, 1, len(gallery))).mean())
    directions += [np.mean(found)] if found else []
  return np.mean(directions) if directions else 0.0


@pytest.mark.parametrize("strength, rows", [(2.0, 40), (0.5, 12), (0.5, 40), (0.2, 12), (0.02, 40)])
def test_every_strength_equals_the_loss_by_isotonic_regression(strength, rows):
  """The galleries have four rows at least, so that 0.5 and 2.0 are linear."""
  features, labels, modality = batch(rows)
  assert min(np.bincount(modality)) >= 4
  with jax.enable_x64(True):
    loss = functools.partial(losses.cross_modality_retrieval, strength=strength)
    ours = jax.jit(loss)(*map(jnp.asarray, (features, labels, modality)))
  np.testing.assert_allclose(ours, by_soft_ranks(features, labels, modality, strength), rtol=1e-9)


def test_linear_form_equals_soft_ranks_at_the_published_strength_with_gradients():
  features, labels, modality = batch(64, seed=3)
  gallery = modality[:, None] != modality[None]
  match = gallery & (labels[:, None] == labels[None])
  sizes = gallery.sum(axis=1)

  def by_general_ranks(features):
    unit = losses.unit(features)
    ranks = losses.soft_rank((1 - unit @ unit.T) / 2, strength=0.5, mask=jnp.asarray(gallery))
    far = jnp.abs(ranks - jnp.where(match, 1, sizes[:, None]))
    rows = jnp.sum(jnp.where(gallery, far, 0), axis=1) / sizes
    return (rows[modality == 0].mean() + rows[modality == 1].mean()) / 2

  linear = list(in_float64(losses.cross_modality_retrieval, features, labels, modality))
  general = list(in_float64(by_general_ranks, features))
  np.testing.assert_allclose(linear[0], general[0], rtol=1e-12)
  np.testing.assert_allclose(linear[1], general[1], atol=1e-12)


@pytest.mark.parametrize("strength", [0.5, 0.1])
def test_degenerate_batches_are_finite(strength):
  def loss(features, labels, modality):
    return losses.cross_modality_retrieval(features, labels, modality, strength=strength)

  compute = jax.jit(jax.value_and_grad(loss))

  def check(features, labels, modality, expected):
    value, gradient = compute(
      jnp.asarray(features, jnp.float32), jnp.asarray(labels), jnp.asarray(modality)
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()

  rng = np.random.default_rng(0)
  labels, modality = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 0, 1, 1])
  check(np.ones((6, 3)), labels, modality, (1.5 + 0.5) / 2)  # galleries of 4 and 2
  check(np.zeros((6, 3)), labels, modality, (1.5 + 0.5) / 2)
  check(rng.normal(size=(6, 3)), labels, np.zeros(6, int), 0)
  check(rng.normal(size=(6, 3)), np.zeros(6, int), modality, 0)
  check(rng.normal(size=(6, 3)), np.arange(6), modality, 0)
