"""PMT's losses against the authors' values, restatements, and degenerate batches."""

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import losses


def triplet(x, labels):
  return losses.batch_hard_triplet(x, labels, margin=0.1)


def cases(labels):
  """Returns the losses of stacked rows [V; I]; `labels` are those of one modality."""
  both = jnp.concatenate([labels, labels])
  return {
    "id_visible_plus_infrared": lambda x: sum(
      losses.cross_entropy(rows, labels) for rows in jnp.split(x, 2)
    ),
    "triplet_intra_m0.1": lambda x: sum(triplet(rows, labels) for rows in jnp.split(x, 2)),
    "triplet_global_m0.1": lambda x: triplet(x, both),
    "msel": lambda x: losses.modality_shared_enhancement(*jnp.split(x, 2), labels),
    "dcl": lambda x: losses.discriminative_center(x, both),
  }


@pytest.mark.parametrize("name", cases(np.zeros(1)))
def test_value_and_gradient_equal_the_authors(name):
  reference = golden_models.load("pmt_losses")
  visible, infrared = np.split(reference["labels"], 2)
  np.testing.assert_array_equal(visible, infrared)
  inputs = reference["logits" if name.startswith("id") else "features"]
  with jax.enable_x64(True):
    loss = cases(jnp.asarray(visible))[name]
    result = jax.jit(jax.value_and_grad(loss))(jnp.asarray(inputs, jnp.float64))
    value, gradient = map(np.asarray, result)
  np.testing.assert_allclose(value, reference[name], rtol=1e-8)
  expected = reference[f"{name}_grad"]
  assert np.abs(gradient - expected).max() <= 1e-7 * np.abs(expected).max()


def drawn(counts, seed=0):
  """Returns rows and labels of identities 7, 2, 4, ... with these numbers of rows, shuffled."""
  rng = np.random.default_rng(seed)
  labels = rng.permutation(np.repeat([7, 2, 4][: len(counts)], counts))
  return rng.normal(size=(len(labels), 5)).astype(np.float32), labels


def plain_dcl(features, labels):
  """Restates the loss identity by identity."""
  positives, negatives = [], []
  for identity in np.unique(labels):
    own = labels == identity
    distance = np.linalg.norm(features - features[own].mean(0), axis=1)
    positives += list(distance[own])
    others = distance[~own]
    negatives.append(others[others < others.mean()].mean())
  return np.mean(positives) / np.mean(negatives)


def test_center_counts_identities_once_whatever_their_rows():
  features, labels = drawn([2, 5, 3])
  value = losses.discriminative_center(jnp.asarray(features), jnp.asarray(labels))
  np.testing.assert_allclose(value, plain_dcl(features, labels), rtol=1e-5)


def test_enhancement_by_hand():
  visible = jnp.array([[0.0], [1.0], [10.0], [14.0]])
  infrared = jnp.array([[2.0], [5.0], [10.0], [11.0]])
  # Visible: mean distances across (3.5, 2.5, .5, 3.5), within (1, 1, 4, 4).
  # Infrared: across (1.5, 4.5, 2, 2), within (3, 3, 1, 1).
  expected = (2.5**2 + 1.5**2 + 3.5**2 + 0.5**2) / 8 + (1.5**2 + 1.5**2 + 1 + 1) / 8
  value = losses.modality_shared_enhancement(visible, infrared, jnp.array([0, 0, 1, 1]))
  np.testing.assert_allclose(value, expected, rtol=1e-5)


def both(features, labels):
  msel = losses.modality_shared_enhancement(features, features[::-1], labels)
  return jnp.stack([msel, losses.discriminative_center(features, labels)])


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_equal_features_cost_nothing_and_one_with_a_finite_gradient(scale):
  labels = jnp.array([0, 0, 1, 1, 2, 2])
  features = jnp.full((6, 5), scale)
  np.testing.assert_allclose(both(features, labels), [0, 1], atol=1e-5)
  assert np.isfinite(jax.jacobian(both)(features, labels)).all()


@pytest.mark.parametrize("labels, expected", [([0, 1, 2, 3], [0, 0]), ([5, 5, 5, 5], [None, 0])])
def test_identities_of_one_image_or_only_one_identity_are_finite(labels, expected):
  """Without a second image of its modality an anchor costs nothing, without negatives likewise."""
  features = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)), jnp.float32)
  values = both(features, jnp.array(labels))
  assert np.isfinite(values).all()
  for value, each in zip(values, expected, strict=True):
    assert each is None or float(value) == pytest.approx(each, abs=1e-6)
  assert np.isfinite(jax.jacobian(both)(features, jnp.array(labels))).all()
