"""DEEN against the authors' code: features, three training steps, tensors there and back."""

import functools

import golden_models
import golden_training
import jax
import numpy as np
import pytest

from vireid_jax import methods
from vireid_jax.models import convert

MODALITIES = ("visible", "infrared")
OPTIONS = {"deen": {}, "deen_regdb": {"num_stages": 3}}
# The references weight all terms.
TERMS = dict.fromkeys(("identity", "triplet", "cpm", "orthogonality"), 1.0)


def by_place(features, kinds):
  """Splits [n, 6 d] into {kind: [3, n, d]}, as the references have them."""
  pieces = features.reshape(len(features), len(kinds), 3, -1).transpose(1, 2, 0, 3)
  return dict(zip(kinds, pieces, strict=True))


def embed(method, variables, images, modality, dtype):
  rows = {name: modality == index for index, name in enumerate(MODALITIES)}
  images = golden_models.images(images, dtype)
  features = np.concatenate(
    [
      jax.jit(functools.partial(method.embed, modality=name))(variables, images[chosen])
      for name, chosen in rows.items()
    ]
  )
  return by_place(features, ("pool", "bn"))


@pytest.mark.slow
@pytest.mark.parametrize("model", OPTIONS)
def test_features_in_float32(model):
  file = golden_models.load(f"{model}_features")
  method, variables, _ = golden_models.official(
    "deen", "float32", model=model, reference=file, **OPTIONS[model]
  )
  args = (file["images_nchw"], file["modality"], "float32")
  for kind, ours in embed(method, variables, *args).items():
    theirs = file[f"{kind}_scaled"]
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["", "_scaled"])
@pytest.mark.parametrize("model", OPTIONS)
def test_features_in_float64(model, recipe):
  """To the file's precision, which is float32; the plain recipe's affinities overflow there."""
  file = golden_models.load(f"{model}_features")
  with jax.enable_x64(True):
    method, variables, _ = golden_models.official(
      "deen", "float64", "xla", model=model, reference=file if recipe else None, **OPTIONS[model]
    )
    args = (file["images_nchw"], file["modality"], "float64")
    features = embed(method, variables, *args)
  for kind, ours in features.items():
    theirs = file[f"{kind}{recipe}"]
    assert np.mean(ours.astype(np.float32) != theirs) < 1e-3
    # What a number that float32 holds as a subnormal one lost is far below `tiny`.
    limits = np.finfo(np.float32)
    np.testing.assert_allclose(ours, theirs, rtol=limits.eps, atol=limits.tiny)


@functools.cache
def trained():
  reference = golden_models.load("deen_trajectory")
  with jax.enable_x64(True):
    optimizer = golden_training.sgd(reference)
    batches = golden_models.pair_batches(reference, "float64")
    return golden_training.train("deen", reference, batches, optimizer, dropout=0.0)


@pytest.mark.slow
def test_three_steps_in_float64():
  reference, run = golden_models.load("deen_trajectory"), trained()
  np.testing.assert_allclose(run.losses(TERMS), reference["losses"], rtol=1e-6)
  with jax.enable_x64(True):
    args = (reference["eval_images_nchw"], reference["eval_modality"], "float64")
    features = embed(run.method, run.variables, *args)
  for kind, ours in features.items():
    theirs = reference[f"eval_{kind}"]
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


@pytest.mark.slow
def test_gradients_of_the_first_step_and_weights_after_the_last():
  reference, run = golden_models.load("deen_trajectory"), trained()
  golden_training.assert_gradient_norms(run, "deen", reference, rtol=1e-6)
  golden_training.assert_final_norms(run, "deen", reference, rtol=1e-6)


@pytest.mark.parametrize("model", OPTIONS)
def test_official_tensors_there_and_back_bit_equal(model):
  method = methods.create(
    {"name": "deen", **OPTIONS[model]}, num_classes=golden_models.CLASSES, steps_per_epoch=1
  )
  table, shapes = convert.name_table("deen"), golden_models.shapes(model).items()
  official = {key: np.broadcast_to(np.float32(n), shape) for n, (key, shape) in enumerate(shapes)}
  variables, ignored = convert.import_weights(golden_models.abstract(method), official, table)
  back = convert.export_weights(variables, table)
  assert not set(ignored) & set(back) and set(ignored) | set(back) == set(official)
  for name, value in back.items():
    np.testing.assert_array_equal(value, official[name], strict=True)
  # 5 per stem, 210 of stages 1-3, 50 of stage 4. 12 for each CNL and PNL, 10 of DEE, 4 of the neck
  # and 1 of the classifier, counters not included.
  expected = {"deen": 10 + 260 + 6 * 12 + 15, "deen_regdb": 10 + 210 + 4 * 12 + 15}
  assert len(back) == expected[model]
