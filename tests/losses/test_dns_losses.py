"""Circle loss, discrepancy, alignment and distillation: the authors' values, and by hand."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import losses
from vireid_jax.models.modality_classifiers import COLLECTION, ModalityClassifiers
from vireid_jax.models.numerics import Numerics

FOLDER = pathlib.Path(__file__).parents[1] / "golden"
GOLDEN = np.load(FOLDER / "dns_losses.npz")
VISIBLE = slice(0, 15)
INFRARED = slice(15, 30)


def halves(x):
  return x[VISIBLE], x[INFRARED]


def double(*names, golden=GOLDEN):
  return [jnp.asarray(golden[name], jnp.float64) for name in names]


def assert_equal(value, gradients, expected, expected_gradients):
  np.testing.assert_allclose(value, expected, rtol=1e-8)
  for ours, theirs in zip(gradients, expected_gradients, strict=True):
    assert ours.dtype == np.float64
    assert np.abs(ours - theirs).max() <= 1e-7 * np.abs(theirs).max()


@pytest.mark.parametrize("file", ["dns_losses", "dns_baseline_losses"])
@pytest.mark.parametrize("margin", [0.45, 0.5])
def test_circle_equals_the_authors(file, margin):
  golden, name = np.load(FOLDER / f"{file}.npz"), f"circle_m{margin}"
  with jax.enable_x64(True):
    (features,) = double("features", golden=golden)
    value, gradient = jax.value_and_grad(losses.circle)(features, golden["labels"], margin=margin)
    assert_equal(value, [gradient], golden[name], [golden[f"{name}_grad"]])


@pytest.mark.parametrize("file", ["dns_losses", "dns_baseline_losses"])
def test_cross_entropy_equals_the_authors(file):
  golden = np.load(FOLDER / f"{file}.npz")
  with jax.enable_x64(True):
    (logits,) = double("logits", golden=golden)
    value, gradient = jax.value_and_grad(losses.cross_entropy)(logits, golden["labels"])
    assert_equal(value, [gradient], golden["id"], [golden["id_grad"]])


@pytest.mark.parametrize("name", ["mmd", "mmd_normalized"])
def test_discrepancy_equals_the_authors(name):
  def loss(x, y):
    unit = losses.unit if name == "mmd_normalized" else lambda rows: rows
    return losses.maximum_mean_discrepancy(unit(x), unit(y))

  with jax.enable_x64(True):
    (features,) = double("features")
    value, gradients = jax.value_and_grad(loss, (0, 1))(*halves(features))
    expected = [GOLDEN[f"{name}_grad_{side}"] for side in ("source", "target")]
    assert_equal(value, gradients, GOLDEN[name], expected)


def test_domain_alignment_equals_the_authors():
  def loss(features, shifted):
    return losses.domain_alignment(halves(features), halves(shifted))

  with jax.enable_x64(True):
    value, gradients = jax.value_and_grad(loss, (0, 1))(*double("features", "features_hat"))
    assert_equal(value, gradients, GOLDEN["da"], [GOLDEN["da_grad_z"], GOLDEN["da_grad_z_hat"]])


def test_domain_distillation_equals_the_authors():
  """With the classifiers and their averages, which move before they are used."""
  classifiers = ModalityClassifiers(10, Numerics("float64"))
  labels = GOLDEN["labels"][VISIBLE]

  def loss(features, shifted, visible, infrared, averages):
    params = {"visible": visible.T, "infrared": infrared.T}
    total = 0.0
    for feature in (features, shifted):
      logits, updates = classifiers.apply(
        {"params": params, COLLECTION: averages}, *halves(feature), 0.2, mutable=[COLLECTION]
      )
      total += losses.domain_distillation(logits[:2], logits[2:], labels)
    return total, updates[COLLECTION]

  with jax.enable_x64(True):
    given = double("features", "features_hat", "dd_visible_classifier", "dd_infrared_classifier")
    averages = dict(
      zip(
        ("visible", "infrared"),
        (x.T for x in double("dd_visible_classifier_", "dd_infrared_classifier_")),
        strict=True,
      )
    )
    gradient = jax.value_and_grad(loss, (0, 1, 2, 3), has_aux=True)
    (value, moved), gradients = gradient(*given, averages)
    names = ("x", "x_hat", "weight_v", "weight_i")
    assert_equal(value, gradients, GOLDEN["dd"], [GOLDEN[f"dd_grad_{name}"] for name in names])
  for name, average in moved.items():
    expected = GOLDEN[f"dd_updated_{name}_classifier_"].T
    np.testing.assert_allclose(average, expected, rtol=1e-12, atol=1e-15)


def test_circle_of_two_pairs_by_hand():
  """Rows 0, 1 at similarity 0.6 are one identity; row 2 another, at 0.8 and 0 from them."""
  features = jnp.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.8, -0.6, 0.0], [0.8, -0.6, 0.0]])
  value = losses.circle(features, jnp.array([0, 0, 1, 1]), margin=0.5, scale=2.0)
  together = -2 * 0.9 * 0.1, -2 * 0.5 * 0.5  # similarities 0.6 and 1
  far, near = 2 * 0.5 * -0.5, 2 * 1.3 * 0.3  # similarities 0 and 0.8
  two = np.log(2)
  mixed = np.log(np.exp(far) + np.exp(near))
  exponents = [together[0] + near + two, together[0] + far + two] + 2 * [together[1] + mixed]
  np.testing.assert_allclose(value, np.mean(np.log1p(np.exp(exponents))), rtol=1e-6)


def test_discrepancy_of_single_rows_by_hand():
  """Two rows at squared distance 4: 4 b = 8 / 2, so that b = 1."""
  value = losses.maximum_mean_discrepancy(jnp.array([[0.0]]), jnp.array([[2.0]]))
  kernel = sum(np.exp(-4 / 2**i) for i in range(5))
  np.testing.assert_allclose(value, 2 * (5 - kernel), rtol=1e-6)


DEGENERATE = {
  "one identity": (np.random.default_rng(0).normal(size=(6, 5)), np.zeros(6, int)),
  "all equal": (np.ones((6, 5)), np.repeat(np.arange(3), 2)),
  "all zero": (np.zeros((6, 5)), np.repeat(np.arange(3), 2)),
  "every identity once": (np.random.default_rng(1).normal(size=(6, 5)), np.arange(6)),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_finite_in_degenerate_batches(case):
  features, labels = DEGENERATE[case]

  def loss(x):
    return losses.circle(x, jnp.asarray(labels), margin=0.5) + losses.domain_alignment((x, x + 0))

  value, gradient = jax.value_and_grad(loss)(jnp.float32(features))
  assert np.isfinite(value)
  assert np.isfinite(gradient).all()


def test_anchors_without_a_positive_or_negative_count_as_zero():
  for case in ("one identity", "every identity once"):
    features, labels = DEGENERATE[case]
    assert losses.circle(jnp.float32(features), jnp.asarray(labels), margin=0.5) == 0


def test_alignment_without_shifted_features_is_that_of_the_modalities():
  features = jnp.float32(GOLDEN["features"])
  value = losses.domain_alignment(halves(features))
  np.testing.assert_allclose(value, 0.45 * GOLDEN["mmd_normalized"], rtol=1e-5)
