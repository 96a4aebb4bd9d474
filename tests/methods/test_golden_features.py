"""Retrieval features of the authors' MPANet and AGW, from their names through our importer."""

import golden_models
import jax
import numpy as np
import pytest

EPSILON = np.finfo(np.float32).eps


def embed_both(name, dtype, **options):
  """Returns features of the visible and the infrared stream for the reference images."""
  method, variables, _ = golden_models.official(name, dtype, **options)
  images = golden_models.images(golden_models.load(f"{name}_features")["images_nchw"], dtype)
  embed = jax.jit(
    lambda v, x: tuple(method.embed(v, x, modality) for modality in ("visible", "infrared"))
  )
  return [np.asarray(features) for features in embed(variables, images)]


def expected(name, kind="bn"):
  reference = golden_models.load(f"{name}_features")
  if name == "mpanet":
    return [reference["features"]] * 2
  return [reference[f"visible_{kind}"], reference[f"thermal_{kind}"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mpanet", "agw"])
def test_float32_within_1e_4(name):
  for ours, theirs in zip(embed_both(name, "float32"), expected(name), strict=True):
    ours = ours if name == "mpanet" else golden_models.unit(ours)
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def assert_equal_before_rounding(ours, theirs):
  """Asserts an agreement much finer than the float32 in which the references are stored.

  A relative difference d between two float64 results makes about d / EPSILON of them round to
  another float32, so at d = 1e-9 every hundredth number or so would differ.
  """
  assert ours.dtype == np.float64
  np.testing.assert_allclose(ours, theirs, rtol=EPSILON)
  assert np.mean(ours.astype(np.float32) != theirs) < 1e-9 / EPSILON


@pytest.mark.parametrize("name", ["mpanet", pytest.param("agw", marks=pytest.mark.slow)])
def test_float64_within_1e_9(name):
  with jax.enable_x64(True):
    features = embed_both(name, "float64")
  for ours, theirs in zip(features, expected(name), strict=True):
    ours = ours if name == "mpanet" else golden_models.unit(ours)
    assert_equal_before_rounding(ours, theirs)


@pytest.mark.slow
def test_agw_pooled_features_in_float64():
  with jax.enable_x64(True):
    features = embed_both("agw", "float64", feature="before_neck")
  for ours, theirs in zip(features, expected("agw", "pool"), strict=True):
    assert_equal_before_rounding(golden_models.unit(ours), theirs)
