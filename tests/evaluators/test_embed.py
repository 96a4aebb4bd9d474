"""Embedding: every image once, whatever the devices; several features and flips from one pass."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import embed_on_devices
import jax
import numpy as np
import pytest
from embed_on_devices import BATCH, images, parts

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.data.prepared import cache
from vireid_jax.evaluators.embed import (
  PIECE,
  Embedder,
  feature_methods,
  goes_in_pieces,
  jitted,
  retrieval_function,
)
from vireid_jax.runtime import mesh

ROOT = pathlib.Path(__file__).parents[2]


def normalized(pixels):
  from vireid_jax.data.training import augment

  return augment.make_pipeline(("normalize()",))(jax.random.key(0), pixels)


@pytest.fixture(scope="module")
def expected():
  """The features of each image embedded alone in a batch of its modality, by name."""
  method, variables, keywords = parts()
  given = images()
  pixels = normalized(cache.fill(given, keywords["size"], keywords["resize"]))
  found = {}
  for name, each in feature_methods(method, ("after_neck", "before_neck")).items():
    embed = jax.jit(each.embed, static_argnums=2)
    sides = {
      (side, flip): np.asarray(embed(variables, pixels[:, :, ::-1] if flip else pixels, side))
      for side in MODALITIES
      for flip in (False, True)
    }
    for flip in (False, True):
      rows = [sides[MODALITIES[m], flip][i] for i, m in enumerate(given.records.modality)]
      found[name, flip] = np.stack(rows)
  return found


def run_on(devices, path):
  flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
  environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
  subprocess.run(
    [sys.executable, embed_on_devices.__file__, str(path)], check=True, env=environment, cwd=ROOT
  )
  with np.load(path) as stored:
    assert stored["devices"] == devices
    return stored["features"]


def test_one_and_four_devices_give_the_same_matrix(tmp_path, expected):
  one, four = (run_on(devices, tmp_path / f"{devices}.npz") for devices in (1, 4))
  assert one.shape == (2 * BATCH + 1, 5)
  np.testing.assert_allclose(one, four, atol=1e-5, rtol=0)
  np.testing.assert_allclose(one, expected["after_neck", False], atol=1e-5, rtol=0)
  assert len(np.unique(one.round(5), axis=0)) == 2 * BATCH + 1


def unit(features):
  return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_two_features_and_their_flips_from_one_pass(expected):
  method, variables, keywords = parts(flip=True)
  both = feature_methods(method, ("after_neck", "before_neck"))
  found = Embedder(both, mesh.make_mesh(), **keywords)(variables, images())
  assert list(found) == ["after_neck", "before_neck"]
  for name, matrix in found.items():
    want = unit(unit(expected[name, False]) + unit(expected[name, True]))
    np.testing.assert_allclose(matrix, want, atol=1e-5, rtol=0)


def test_pieces_give_the_features_of_the_whole():
  method, variables, keywords = parts()
  operations, one = keywords["operations"]["visible"], mesh.make_mesh(jax.devices()[:1])
  shape = (2 * PIECE, *keywords["size"], 3)
  pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  assert goes_in_pieces(2 * PIECE, one) and not goes_in_pieces(2 * PIECE + 1, one)
  arguments = {"feature": method}, "visible", operations
  whole = jax.jit(retrieval_function(*arguments))(variables, pixels)["feature"]
  pieces = jitted(*arguments, one)
  assert "while" in pieces.lower(variables, pixels).as_text()
  np.testing.assert_allclose(pieces(variables, pixels)["feature"], whole, rtol=1e-4, atol=1e-5)


def test_feature_names():
  method, *_ = parts()
  assert feature_methods(method, ()) == {"after_neck": method}
  plain = dataclasses.make_dataclass("Plain", [])()
  assert feature_methods(plain, ()) == {"feature": plain}
  with pytest.raises(UserError, match="Plain has one feature only"):
    feature_methods(plain, ("after_neck",))
