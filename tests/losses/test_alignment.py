"""MUN's two alignment losses against plain restatements of their formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vireid_jax import losses
from vireid_jax.losses import modality_alignment as alignment

LABELS = np.array([3, 3, 1, 1, 7, 7, 3, 1])
NAMES = ("visible", "infrared", "auxiliary")


def draw(modalities=3, rows=8, size=5, seed=0, scale=1.0):
  return list(np.random.default_rng(seed).normal(size=(modalities, rows, size)) * scale)


def plain_identity_alignment(features, labels, margin):
  identities = sorted(set(labels.tolist()))
  center = {(m, p): x[labels == p].mean(0) for m, x in enumerate(features) for p in identities}
  total = 0.0
  for m in range(len(features)):
    for p in identities:
      anchor = center[m, p]
      positive = max(np.linalg.norm(anchor - center[n, p]) for n in range(len(features)) if n != m)
      negative = min(np.linalg.norm(anchor - c) for (_, q), c in center.items() if q != p)
      total += max(0.0, margin + positive - negative)
  return total / (len(features) * len(identities))


@pytest.mark.parametrize("modalities", [3, 2])
def test_identity_alignment_equals_its_formula(modalities):
  with jax.enable_x64(True):
    features = draw(modalities)
    value = losses.identity_alignment(features, LABELS, margin=2.0)
    expected = plain_identity_alignment(features, LABELS, 2.0)
    assert expected > 0
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize(
  "features, labels",
  [
    (draw(), np.zeros(8, int)),
    (draw(), np.arange(8)),
    ([np.ones((8, 5))] * 3, LABELS),
    ([np.zeros((8, 5))] * 3, LABELS),
    (draw(scale=1e4), LABELS),
  ],
  ids=["one identity", "every identity once", "all equal", "all zero", "far apart"],
)
def test_both_are_finite_in_degenerate_batches(features, labels):
  features = [jnp.asarray(x, jnp.float32) for x in features]
  for loss in (lambda x: losses.identity_alignment(x, jnp.asarray(labels)), aligned_with_itself):
    value, gradients = jax.value_and_grad(loss)(features)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def aligned_with_itself(features):
  centers = {name: alignment.modality_center(x) for name, x in zip(NAMES, features, strict=True)}
  return alignment.modality_alignment(centers, centers)


def test_a_single_identity_has_no_negative_and_pays_nothing():
  assert losses.identity_alignment(draw(), np.zeros(8, int)) == 0


@pytest.mark.parametrize("bridge", [True, False])
def test_modality_alignment_equals_its_formula(bridge):
  with jax.enable_x64(True):
    mu = dict(zip(NAMES, (plain_center(x) for x in draw()), strict=True))
    p = dict(zip(NAMES, (plain_center(x) for x in draw(seed=1)), strict=True))
    centers = {name: alignment.modality_center(x) for name, x in zip(NAMES, draw(), strict=True)}
    value = alignment.modality_alignment(centers, p, bridge=bridge)
    pairs = [("visible", "infrared")]
    if bridge:
      pairs = [("visible", "auxiliary"), ("infrared", "auxiliary")]
    expected = sum(np.sum((mu[m] - p[n]) ** 2) + np.sum((mu[n] - p[m]) ** 2) for m, n in pairs) / 2
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def plain_center(x):
  x = x / np.linalg.norm(x, axis=1, keepdims=True)
  draws = np.random.default_rng(0)
  frequencies, phases = draws.normal(size=(x.shape[1], 512)) / 0.5, draws.uniform(0, 2 * np.pi, 512)
  return np.mean(np.sqrt(2 / 512) * np.cos(x @ frequencies + phases), axis=0)


def test_fourier_distance_is_near_the_exact_discrepancy():
  x, y = draw(modalities=2, rows=40, size=6)
  y = y + 0.8
  centers = [alignment.modality_center(jnp.asarray(z)) for z in (x, y)]
  approximate = float(jnp.sum((centers[0] - centers[1]) ** 2))
  x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))

  def kernel(a, b):
    return np.exp(-np.sum((a[:, None] - b[None]) ** 2, -1) / (2 * 0.5**2)).mean()

  exact = kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)
  # 512 draws of a bounded cosine: the error of a mean is about 1 / sqrt(512) = 0.04 of the kernel.
  assert exact > 0.1
  assert abs(approximate - exact) < 0.05


def test_prototypes_accumulate_without_gradient_and_only_the_centers_get_one():
  first, second = jnp.array([3.0, 4.0]) / 5, jnp.array([1.0, 0.0])
  start = alignment.accumulate(jnp.zeros(2), first, jnp.array(False), rate=0.9)
  np.testing.assert_allclose(start, [0.6, 0.8], rtol=1e-6)
  moved = alignment.accumulate(start, second, jnp.array(True), rate=0.9)
  np.testing.assert_allclose(moved, [0.9 * 0.6 + 0.1, 0.9 * 0.8], rtol=1e-6)
  slope = jax.grad(lambda c: alignment.accumulate(start, c, jnp.array(True), rate=0.9).sum())(
    second
  )
  np.testing.assert_array_equal(slope, np.zeros(2))

  centers = dict(zip(NAMES, (first, second, -first), strict=True))
  prototypes = dict(zip(NAMES, (second, -first, -second), strict=True))
  of_centers, of_prototypes = jax.grad(alignment.modality_alignment, argnums=(0, 1))(
    centers, prototypes
  )
  assert all(np.abs(gradient).max() > 0 for gradient in of_centers.values())
  assert all(np.abs(gradient).max() == 0 for gradient in of_prototypes.values())


def test_a_running_prototype_has_the_gradient_of_its_center():
  prototype, center = jnp.array([3.0, 4.0]), jnp.array([1.0, -1.0])
  np.testing.assert_allclose(alignment.straight_through(prototype, center), prototype)
  of_prototype, of_center = jax.grad(
    lambda p, c: jnp.sum(alignment.straight_through(p, c) ** 2), argnums=(0, 1)
  )(prototype, center)
  np.testing.assert_array_equal(of_prototype, np.zeros(2))
  np.testing.assert_allclose(of_center, 2 * prototype)


def test_gradients_equal_finite_differences():
  with jax.enable_x64(True):
    fixed = dict(zip(NAMES, (plain_center(x) for x in draw(seed=1)), strict=True))

    def modality(features):
      centers = [alignment.modality_center(x) for x in features]
      return alignment.modality_alignment(dict(zip(NAMES, centers, strict=True)), fixed)

    identity = functools.partial(losses.identity_alignment, labels=LABELS, margin=2.0)
    for loss in (modality, identity):
      check_grads(loss, ([jnp.asarray(x) for x in draw()],), order=1, modes=["rev"], rtol=1e-6)
