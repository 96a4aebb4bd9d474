"""CAJ and CAJ+ against the authors' code: features, and three training steps in float64."""

import functools

import golden_models
import golden_training
import jax
import numpy as np
import pytest

EPSILON = np.finfo(np.float32).eps
MODALITIES = ("visible", "infrared")
PLACES = {"bn": "after_neck", "pool": "before_neck"}
# CAJ logs its divergence with weight 0; so small a weight shows it and moves nothing.
UNFELT = 1e-12
TERMS = {
  "caj": {"identity": 1.0, "enhanced_squared_difference": 1.0, "divergence": UNFELT},
  "cajplus": {"identity": 1.0, "enhanced_squared_difference": 1.0, "weak_to_strong": 1.0},
}
OPTIONS = {
  "caj": {"divergence": {"weight": UNFELT}},
  "cajplus": {"weak_to_strong": {"weight": 1.0}},
}


def by_modality(images, modality, embed):
  """Returns unit features of images, each through the stem of its modality."""
  features = [embed(images[modality == side], name) for side, name in enumerate(MODALITIES)]
  whole = np.empty((len(images), features[0].shape[1]), features[0].dtype)
  for side, rows in enumerate(features):
    whole[modality == side] = rows
  return golden_models.unit(whole)


def features_of(kind, dtype):
  reference = golden_models.load("caj_features")
  method, variables, _ = golden_models.official("caj", dtype, feature=PLACES[kind])
  embed = jax.jit(method.embed, static_argnums=2)
  images = golden_models.images(reference["images_nchw"], dtype)
  ours = by_modality(
    images, reference["modality"], lambda x, name: np.asarray(embed(variables, x, name))
  )
  return ours, reference[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLACES)
def test_features_in_float32(kind):
  ours, theirs = features_of(kind, "float32")
  assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLACES)
def test_features_in_float64_to_the_precision_of_the_file(kind):
  with jax.enable_x64(True):
    ours, theirs = features_of(kind, "float64")
  assert ours.dtype == np.float64
  np.testing.assert_allclose(ours, theirs, rtol=EPSILON)
  assert np.mean(ours.astype(np.float32) != theirs) < 1e-9 / EPSILON


def batches(reference, dtype):
  columns = {
    "visible": "visible_weak_nchw",
    "visible_2": "visible_strong_nchw",
    "infrared": "thermal_nchw",
  }
  for step, labels in enumerate(reference["labels"]):
    images = {
      name: golden_models.images(reference[key][step], dtype) for name, key in columns.items()
    }
    yield {**images, "label": labels.astype(np.int32)}


@functools.cache
def trained(name):
  reference = golden_models.load(f"{name}_trajectory")
  with jax.enable_x64(True):
    return golden_training.train(
      "caj",
      reference,
      batches(reference, "float64"),
      golden_training.sgd(reference),
      **OPTIONS[name],
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMS)
def test_three_steps_in_float64(name):
  reference, run = golden_models.load(f"{name}_trajectory"), trained(name)
  np.testing.assert_allclose(run.losses(TERMS[name]), reference["losses"], rtol=1e-6)
  for kind, place in PLACES.items():
    with jax.enable_x64(True):
      ours = by_modality(
        reference["eval_images_nchw"],
        reference["eval_modality"],
        lambda images, modality, place=place: run.features(images, modality, place),
      )
    theirs = reference[f"eval_{kind}"]
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMS)
def test_gradients_of_the_first_step_and_weights_after_the_last(name):
  reference, run = golden_models.load(f"{name}_trajectory"), trained(name)
  golden_training.assert_gradient_norms(run, "caj", reference, rtol=1e-7)
  golden_training.assert_final_norms(run, "caj", reference, rtol=1e-7)
