"""Five training steps of the authors' MPANet and AGW, repeated by our step and optimisers."""

import functools

import golden_models
import golden_training
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.training import optim

# The names of our terms in the order of the references' columns, and the weights in our terms.
MPANET_TERMS = {
  "separation": 0.5,
  "center_cluster": 1.0,
  "identity": 1.0,
  "visible_identity": 1.0,
  "infrared_identity": 1.0,
  "mutual": 2.5,
}
AGW_TERMS = {"identity": 1.0, "wrt_legacy": 1.0}
# Which classifiers MPANet starts from, as the suffix of the references' keys: those that its code
# has after loading a file, or every tensor's own.
STARTS = {"": True, "_own_draws": False}


def mpanet_batches(reference, dtype):
  """Splits the authors' mixed batches by camera; 3 and 6 are infrared."""
  columns = ("images_nchw", "labels", "cams")
  for images, labels, cameras in zip(*(reference[name] for name in columns), strict=True):
    infrared = np.isin(cameras, (3, 6))
    np.testing.assert_array_equal(labels[~infrared], labels[infrared])
    images = golden_models.images(images, dtype)
    yield {
      "visible": images[~infrared],
      "infrared": images[infrared],
      "label": labels[infrared].astype(np.int32),
    }


def adam(reference):
  config = {"name": "adam", "weight_decay": float(reference["weight_decay"])}
  config |= {"no_decay": (), "lr_multipliers": {}}
  return optim.create(config, lambda step: jnp.asarray(float(reference["lr"])))


@functools.cache
def mpanet_in_float64(as_published):
  reference = golden_models.load("mpanet_trajectory_double")
  with jax.enable_x64(True):
    batches = mpanet_batches(reference, "float64")
    return golden_training.train(
      "mpanet", reference, batches, adam(reference), as_published=as_published
    )


@functools.cache
def agw_in_float64(name):
  reference = golden_models.load(name)
  with jax.enable_x64(True):
    batches = golden_models.pair_batches(reference, "float64")
    return golden_training.train("agw", reference, batches, golden_training.sgd(reference))


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_mpanet_five_steps_in_float64(start):
  reference = golden_models.load("mpanet_trajectory_double")
  trained = mpanet_in_float64(STARTS[start])
  losses = trained.losses(MPANET_TERMS)
  np.testing.assert_allclose(losses, reference[f"losses{start}"], rtol=1e-6)
  expected = reference[f"eval_features{start}"]
  with jax.enable_x64(True):
    features = trained.features(reference["eval_images_nchw"], "visible")
  assert np.abs(features - expected).max() <= 1e-6 * np.abs(expected).max()
  check = {"name": "mpanet", "reference": reference}
  golden_training.assert_gradient_norms(trained, **check, key=f"step1_grad_norms{start}", rtol=1e-9)
  golden_training.assert_final_norms(trained, **check, key=f"final_norms{start}", rtol=1e-7)
  golden_training.assert_update_norms(trained, **check, key=f"update_norms{start}", rtol=1e-6)


@pytest.mark.slow
def test_mpanet_against_the_authors_run_until_its_rounding_shows():
  """The authors' code casts to float32 before its losses, even in a float64 model.

  The rounding of step 1 decides the direction in which Adam moves a few weights, and grows about a
  hundredfold per step.
  """
  reference = golden_models.load("mpanet_trajectory")["losses"]
  losses = mpanet_in_float64(STARTS[""]).losses(MPANET_TERMS)
  np.testing.assert_allclose(losses[0], reference[0], rtol=1e-6)
  np.testing.assert_allclose(losses[1], reference[1], rtol=1e-5)
  np.testing.assert_allclose(losses[2], reference[2], rtol=1e-2)


@pytest.mark.slow
def test_agw_five_steps_in_float64():
  """From scaled weights, with losses near 3 and finite features."""
  reference = golden_models.load("agw_trajectory_stable")
  trained = agw_in_float64("agw_trajectory_stable")
  np.testing.assert_allclose(trained.losses(AGW_TERMS), reference["losses"], rtol=1e-6)
  for name, modality in (("visible", "visible"), ("thermal", "infrared")):
    for kind, place in (("bn", "after_neck"), ("pool", "before_neck")):
      with jax.enable_x64(True):
        ours = trained.features(reference["eval_images_nchw"], modality, place)
      expected = reference[f"eval_{name}_{kind}"]
      assert np.abs(golden_models.unit(ours) - expected).max() <= 1e-9 * np.abs(expected).max()
  golden_training.assert_gradient_norms(trained, "agw", reference, rtol=1e-8)
  golden_training.assert_final_norms(trained, "agw", reference, rtol=1e-8)
  golden_training.assert_update_norms(trained, "agw", reference, rtol=1e-8)


@pytest.mark.slow
def test_agw_five_steps_of_the_plain_recipe_in_float64():
  """Its features are too far apart for the authors' code, whose eval features are NaN."""
  reference = golden_models.load("agw_trajectory")
  trained = agw_in_float64("agw_trajectory")
  np.testing.assert_allclose(trained.losses(AGW_TERMS), reference["losses"], rtol=1e-6)
  for name, modality in (("visible", "visible"), ("thermal", "infrared")):
    assert np.isnan(reference[f"eval_{name}_bn"]).all()
    with jax.enable_x64(True):
      assert np.isfinite(trained.features(reference["eval_images_nchw"], modality)).all()


@pytest.mark.slow
def test_mpanet_first_step_in_float32():
  reference = golden_models.load("mpanet_trajectory_double")
  batches = list(mpanet_batches(reference, "float32"))[:1]
  trained = golden_training.train("mpanet", reference, batches, adam(reference), dtype="float32")
  losses = trained.losses(MPANET_TERMS)
  np.testing.assert_allclose(losses, reference["losses"][:1], rtol=1e-4)
