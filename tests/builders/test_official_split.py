"""SYSU-MM01's official split at full size, from tiny pictures to the evaluation.

Needs the owner's `rand_perm_cam.mat`, `train_id.mat` and `test_id.mat`; VIREID_OFFICIAL_SPLIT names
the folder that holds them.
"""

import json
import os
import pathlib
import shutil

import numpy as np
import owner_trees
import pytest
import scipy.io

from vireid_jax.data import preparing
from vireid_jax.data.layout import sysu_mm01
from vireid_jax.data.prepared import source
from vireid_jax.evaluators.protocols.sysu_mm01 import Protocol

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    "VIREID_OFFICIAL_SPLIT" not in os.environ, reason="VIREID_OFFICIAL_SPLIT names no folder"
  ),
]

VAL_IDENTITY = 901  # of nobody in the official split


@pytest.fixture(scope="module")
def official():
  return pathlib.Path(os.environ["VIREID_OFFICIAL_SPLIT"])


@pytest.fixture(scope="module")
def tree(official, tmp_path_factory):
  """A tree with one hard link per test image, and one image per other identity and camera."""
  root = tmp_path_factory.mktemp("official") / "SYSU-MM01"
  owner_trees.picture(root / "picture.jpg", 0)
  train, test = (
    scipy.io.loadmat(official / f"{split}_id.mat")["id"].ravel().tolist()
    for split in ("train", "test")
  )
  cameras = scipy.io.loadmat(official / "rand_perm_cam.mat")["rand_perm_cam"].ravel()
  counts = {
    (camera, identity): cell.ravel()[identity - 1].shape[1]
    for camera, cell in enumerate(cameras, 1)
    for identity in test
  }
  others = (*train, VAL_IDENTITY)
  counts |= {(camera, identity): 1 for camera in range(1, 7) for identity in others}
  for (camera, identity), count in counts.items():
    folder = root / f"cam{camera}/{identity:04d}"
    for number in range(1, count + 1):
      folder.mkdir(parents=True, exist_ok=True)
      os.link(root / "picture.jpg", folder / f"{number:04d}.jpg")
  (root / "exp").mkdir()
  for split, identities in (("train", train), ("val", [VAL_IDENTITY]), ("test", test)):
    (root / f"exp/{split}_id.txt").write_text(",".join(map(str, identities)))
  shutil.copy(official / "rand_perm_cam.mat", root / "exp")
  shutil.copy(official / "test_id.mat", root / "exp")
  return root


@pytest.fixture(scope="module")
def dataset(tree, tmp_path_factory):
  data_dir = tmp_path_factory.mktemp("data")
  preparing.prepare("sysu_mm01", data_dir=data_dir, manual_dir=tree)
  return source.Dataset("sysu_mm01", data_dir)


def test_the_reader_finds_the_published_test_counts(tree):
  layout = sysu_mm01.read(tree)
  assert [warning for warning in layout.warnings if warning.startswith("test")] == []
  test = [image for image in layout.images if image.split == "test"]
  cameras, images = np.unique([image.camera for image in test], return_counts=True)
  assert dict(zip(cameras.tolist(), images.tolist(), strict=True)) == {
    1: 1374,
    2: 1565,
    3: 1883,
    4: 1918,
    5: 1918,
    6: 1920,
  }
  assert "val: expected 99 identities, found 1" in layout.warnings
  # Complaints are about train and val alone: the permutations fit the test images.
  assert all(warning.startswith(("train", "val")) for warning in layout.warnings)


def test_evaluation_of_the_prepared_data_has_the_published_sizes(dataset):
  test = dataset.load("test")
  features = np.random.default_rng(0).normal(size=(len(test), 16))
  results = Protocol().evaluate(features, test.records, dataset.metadata)
  sizes = {("all", 1): 301, ("all", 10): 3_010, ("indoor", 1): 112, ("indoor", 10): 1_120}
  for (mode, shots), size in sizes.items():
    for gallery in ("random_choice", "official"):
      result = results[f"{mode}/{shots}-shot/{gallery}"]
      assert result.queries == 3_803
      assert result.gallery_sizes == (size,) * 10
      assert result.valid_queries == ({"all": 3_803, "indoor": 2_208}[mode],) * 10


def _drawn_features(official, permutations, seed, dim):
  """Returns {file name: feature}, drawn as the README beside the results says."""
  test = scipy.io.loadmat(official / "test_id.mat")["id"].ravel().tolist()
  generator = np.random.default_rng(seed)
  centre = generator.normal(size=(334, dim))
  bias = generator.normal(size=(7, dim)) * 0.3
  return {
    f"cam{camera}/{identity:04d}/{number:04d}.jpg": centre[identity] * 0.55
    + bias[camera]
    + generator.normal(size=dim)
    for camera in range(1, 7)
    for identity in test
    for number in range(1, 1 + len(permutations[str(camera)].get(str(identity), [[]])[0]))
  }


def test_evaluation_of_the_prepared_data_agrees_with_the_authors(dataset, official):
  if not (official / "results.json").is_file():
    pytest.skip("no results.json, the results of the authors' code, beside the split")
  stored = json.loads((official / "results.json").read_text())
  permutations = dataset.metadata["gallery_permutations"]
  drawn = _drawn_features(official, permutations, stored["seed"], stored["dim"])
  records = dataset.load("test").records
  features = np.asarray([drawn[name] for name in records.name], np.float32)
  results = Protocol(galleries=("official",)).evaluate(features, records, dataset.metadata)
  for setting, expected in stored["results_percent_mAP_r1_r5_r10_r20"].items():
    mode, shots = setting.split("_")
    mean = results[f"{mode}/{shots}-shot/official"].mean
    found = [mean[key] for key in ("mAP", "rank-1", "rank-5", "rank-10", "rank-20")]
    np.testing.assert_allclose(100 * np.asarray(found), expected, atol=0.02)


def test_the_metadata_stays_small(dataset):
  assert (dataset.folder / "metadata.json").stat().st_size < 2e6
