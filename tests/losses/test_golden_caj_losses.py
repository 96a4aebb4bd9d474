"""The losses of CAJ and CAJ+ against values and gradients of the authors' code, in float64."""

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import losses

CAJ, CAJPLUS = golden_models.load("caj_losses"), golden_models.load("cajplus_losses")


def weighted_margin(features, labels):
  """The published loss without its square: the weighted regularised triplet."""
  return losses.weighted_regularized_triplet(features, labels, legacy=True)


def sharper(features, labels):
  return losses.enhanced_squared_difference(features, labels, alpha=2.0, gamma=3.0)


METRIC = {
  "enhanced_squared_difference": ("features", losses.enhanced_squared_difference),
  "enhanced_squared_difference_clamped": ("features_wide", losses.enhanced_squared_difference),
  "adp_square0": ("features", weighted_margin),
  "adp_alpha2_gamma3": ("features", sharper),
}
# Rows of a batch are [weak; strong; infrared].
LOGITS = {
  "id": lambda logits, labels: losses.cross_entropy(logits, labels),
  "kl": lambda logits, _: losses.softened_divergence(*rows(logits, 0, 2)),
  "weak_to_strong": lambda logits, _: losses.soft_cross_entropy(*rows(logits, 0, 1)),
  "weak_to_strong_S1": lambda logits, _: (
    losses.soft_cross_entropy(*rows(logits, 0, 1)) + losses.soft_cross_entropy(*rows(logits, 2, 1))
  ),
  "weak_to_strong_S2": lambda logits, _: losses.soft_cross_entropy(*rows(logits, 1, 0)),
}


def rows(logits, *groups):
  thirds = jnp.split(logits, 3)
  return [thirds[group] for group in groups]


def assert_equal(loss, reference, name, key):
  with jax.enable_x64(True):
    inputs = jnp.asarray(reference[key], jnp.float64)
    value, gradient = jax.value_and_grad(loss)(inputs, jnp.asarray(reference["labels"]))
  np.testing.assert_allclose(value, reference[name], rtol=1e-8)
  expected = reference[f"{name}_grad"]
  assert np.abs(np.asarray(gradient) - expected).max() <= 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("reference", [CAJ, CAJPLUS], ids=["caj", "cajplus"])
@pytest.mark.parametrize("name", METRIC)
def test_metric_losses(reference, name):
  key, loss = METRIC[name]
  assert_equal(loss, reference, name, key)


@pytest.mark.parametrize("name", LOGITS)
def test_losses_of_logits(name):
  found = [reference for reference in (CAJ, CAJPLUS) if name in reference]
  assert found
  for reference in found:
    assert_equal(LOGITS[name], reference, name, "logits")


def test_every_loss_of_the_files_is_compared():
  for reference in (CAJ, CAJPLUS):
    stored = {name.removesuffix("_grad") for name in reference if name.endswith("_grad")}
    assert stored <= {*METRIC, *LOGITS}
