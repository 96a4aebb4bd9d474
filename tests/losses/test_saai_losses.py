"""SAAI's losses: the authors' values and gradients, and by hand."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import losses
from vireid_jax.models.modality_classifiers import COLLECTION, ModalityClassifiers
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.two_stream import merge

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "saai_losses.npz")
INFRARED = np.isin(GOLDEN["cams"], (3, 6))
HALVES = np.flatnonzero(~INFRARED), np.flatnonzero(INFRARED)


def double(name):
  return jnp.asarray(GOLDEN[name], jnp.float64)


def assert_equal(value, gradients, name, expected_gradients):
  np.testing.assert_allclose(value, GOLDEN[name], rtol=1e-8)
  for ours, theirs in zip(gradients, expected_gradients, strict=True):
    assert ours.dtype == np.float64
    assert np.abs(ours - theirs).max() <= 1e-7 * np.abs(theirs).max()


def separation(features, labels):
  return losses.center_cluster(features, labels, margin=0.7, slack=0.01)


def test_centre_separation_equals_the_authors():
  with jax.enable_x64(True):
    features = double("features_close")
    value, gradient = jax.value_and_grad(separation)(features, GOLDEN["labels"])
    assert_equal(value, [gradient], "center_separation", [GOLDEN["center_separation_grad"]])
    pull = losses.center_cluster(features, GOLDEN["labels"], margin=0.0, slack=0.01)
    np.testing.assert_allclose(pull, GOLDEN["center_separation_pull"], rtol=1e-8)
    np.testing.assert_allclose(value - pull, GOLDEN["center_separation_push"], rtol=1e-8)


def test_part_diversity_equals_the_authors():
  """Whose function has applied the weight of 0.5 once."""
  with jax.enable_x64(True):
    attention = double("attention").reshape(6, 7, 18, 9).transpose(0, 2, 3, 1)
    value, gradient = jax.value_and_grad(losses.part_diversity)(attention)
    gradient = 0.5 * gradient.transpose(0, 3, 1, 2).reshape(6, 7, 162)
    expected = GOLDEN["part_diversity_l2_grad"]
    assert_equal(0.5 * value, [gradient], "part_diversity_l2", [expected])


def identity_terms(features, classifier, visible, infrared, averages):
  """Returns the terms of the identities by the golden file's names, and the moved averages."""
  module = ModalityClassifiers(10, Numerics("float64"))
  own, updates = module.apply(
    {"params": {"visible": visible.T, "infrared": infrared.T}, COLLECTION: averages},
    *(features[rows] for rows in HALVES),
    GOLDEN["update_rate"].item(),
    mutable=[COLLECTION],
  )
  labels = GOLDEN["labels"]
  terms = {
    "id_all": losses.cross_entropy(features @ classifier.T, labels),
    "id_visible": losses.cross_entropy(own[0], labels[HALVES[0]]),
    "id_infrared": losses.cross_entropy(own[1], labels[HALVES[1]]),
    "mutual_soft_cross_entropy": losses.soft_cross_entropy(merge(*own[:2]), merge(*own[2:])),
  }
  return terms, updates[COLLECTION]


@pytest.mark.parametrize(
  ("name", "inputs"),
  [
    ("id_all", ("classifier",)),
    ("id_visible", ("visible_classifier",)),
    ("id_infrared", ("infrared_classifier",)),
    ("mutual_soft_cross_entropy", ("visible_classifier", "infrared_classifier")),
  ],
)
def test_identity_terms_equal_the_authors(name, inputs):
  names = ("features", "classifier", "visible_classifier", "infrared_classifier")
  with jax.enable_x64(True):
    sides = ("visible", "infrared")
    averages = {side: double(f"{side}_classifier_").T for side in sides}
    given = dict(zip(names, map(double, names), strict=True))

    def loss(changed):
      terms, moved = identity_terms(*{**given, **changed}.values(), averages)
      return terms[name], (moved, sum(terms.values()))

    changed = {key: given[key] for key in ("features", *inputs)}
    (value, (moved, total)), gradients = jax.value_and_grad(loss, has_aux=True)(changed)
    expected = [GOLDEN[f"{name}_grad"], *(GOLDEN[f"{name}_grad_{key}"] for key in inputs)]
    assert_equal(value, [gradients[key] for key in ("features", *inputs)], name, expected)
    np.testing.assert_allclose(total, GOLDEN["id_total"], rtol=1e-8)
    for side in sides:
      updated = GOLDEN[f"updated_{side}_classifier_"].T
      np.testing.assert_allclose(moved[side], updated, rtol=1e-12, atol=1e-15)


def test_slack_forgives_small_distances_by_hand():
  """Features at 1 and 3 from their centres; centres 4 apart."""
  features = jnp.array([[-1.0, 0.0], [1.0, 0.0], [4.0, -3.0], [4.0, 3.0]])
  labels = jnp.array([0, 0, 1, 1])
  value = losses.center_cluster(features, labels, margin=6.0, slack=2.0)
  np.testing.assert_allclose(value, (0 + 0 + 1 + 1) / 4 + 2, rtol=1e-6)
  np.testing.assert_allclose(losses.center_cluster(features, labels, margin=0.0), 2, rtol=1e-6)


def test_part_diversity_of_three_maps_by_hand():
  maps = jnp.array([[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])[None]  # two positions, three parts
  apart = np.sqrt([1 / 2, 1 / 2, 0])
  np.testing.assert_allclose(losses.part_diversity(maps), -apart.mean(), rtol=1e-5)


def test_equal_maps_and_equal_features_have_finite_gradients():
  gradient = jax.grad(losses.part_diversity)(jnp.full((2, 3, 2, 4), 0.5))
  assert np.isfinite(gradient).all()
  gradient = jax.grad(separation)(jnp.ones((4, 3)), jnp.array([0, 0, 1, 1]))
  assert np.isfinite(gradient).all()
