"""Damaged lists, tables, index files and prepared data sets: success or one plain error, always."""

import functools
import io
import shutil

import mutations
import numpy as np
import owner_trees
import pytest
from PIL import Image

from vireid_jax.common.errors import UserError
from vireid_jax.data import layout, preparing
from vireid_jax.data.prepared import picture
from vireid_jax.data.prepared.source import Dataset
from vireid_jax.evaluators.protocols import sysu_mm01 as protocol
from vireid_jax.retrieval import index

FILES = {
  "own": ("images.csv",),
  "sysu_mm01": ("exp/train_id.txt", "exp/test_id.txt", "exp/rand_perm_cam.mat", "exp/test_id.mat"),
  "regdb": ("idx/train_visible_1.txt", "idx/test_thermal_10.txt"),
  "llcm": ("idx/train_vis.txt", "idx/train_nir.txt", "idx/test_id.txt"),
}
ROUNDS = 60


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
  """A small tree in each layout, by name."""
  import scipy.io

  root = tmp_path_factory.mktemp("trees")
  people = [("ann", "train"), ("bob", "train"), ("joe", "test")]
  found = {
    "own": owner_trees.own(root / "own", people),
    "sysu_mm01": owner_trees.sysu(root / "sysu"),
    "regdb": owner_trees.regdb(root / "regdb"),
    "llcm": owner_trees.llcm(root / "llcm"),
  }
  scipy.io.savemat(found["sysu_mm01"] / "exp/test_id.mat", {"id": [[3, 6]]})
  return found


@pytest.fixture(scope="module")
def prepared(trees, tmp_path_factory):
  return preparing.prepare(
    "sysu_mm01", data_dir=tmp_path_factory.mktemp("data"), manual_dir=trees["sysu_mm01"]
  )


def outcome(action):
  """Returns 'done' or the text of a UserError, once a terminal can show it."""
  try:
    action()
  except UserError as error:
    said = str(error)
    assert said.replace("\n", " ").isprintable(), said
    assert len(said) < 6000
    return said
  return "done"


@pytest.mark.parametrize("name, file", [(n, file) for n, files in FILES.items() for file in files])
def test_lists_and_tables(trees, name, file):
  path = trees[name] / file
  whole = path.read_bytes()
  try:
    found = []
    for seed in range(ROUNDS):
      path.write_bytes(mutations.mutated(whole, seed))
      found.append(outcome(lambda: layout.read(name, trees[name])))
    # The damage is real, and it is damage to this file: most of it is noticed.
    assert sum(said != "done" for said in found) > ROUNDS / 4 or file == "exp/test_id.mat"
  finally:
    path.write_bytes(whole)
  assert outcome(lambda: layout.read(name, trees[name])) == "done"


@pytest.mark.parametrize("file", ["metadata.json", "dataset_info.json", "features.json", "shard"])
def test_prepared_data_sets(prepared, tmp_path, file):
  copy = tmp_path / "sysu_mm01/1.0.0"
  shutil.copytree(prepared, copy)
  name = "sysu_mm01-test.array_record-00000-of-00001" if file == "shard" else file
  whole = (copy / name).read_bytes()

  def evaluate():
    dataset = Dataset("sysu_mm01", tmp_path)
    images = dataset.load("test")
    features = np.random.default_rng(0).normal(size=(len(images), 4))
    protocol.Protocol(shots=1).evaluate(features, images.records, dataset.metadata)

  for seed in range(ROUNDS // 2):
    (copy / name).write_bytes(mutations.mutated(whole, seed))
    outcome(evaluate)
  (copy / name).write_bytes(whole)
  assert outcome(evaluate) == "done"


def test_index_files(tmp_path):
  names, rng = ["a.png", "b/c.png"], np.random.default_rng(0)
  stamps = {name: (7, 1_700_000_000_000_000_000) for name in (*names, "notes.txt")}
  features = rng.normal(size=(2, 3)).astype(np.float32)
  whole = index.Index("key", names, features, stamps, {"notes.txt": "not a picture"})
  path = tmp_path / "gallery.index.npz"
  index.save(whole, path)
  data = path.read_bytes()
  found = []
  for seed in range(300):
    path.write_bytes(mutations.mutated(data, seed))
    found.append(index.load(path))
  for other in found:  # a part is never taken for the whole: it is the same index or none
    if other is not None:
      assert (other.names, other.stamps, other.skipped) == (names, stamps, whole.skipped)
      np.testing.assert_array_equal(other.features, features)
  assert sum(other is None for other in found) > 250


def picture_files():
  """A small picture in each format that is read, by a name."""
  pixels = np.random.default_rng(0).integers(0, 256, (20, 10, 3), np.uint8)
  image, exif = Image.fromarray(pixels), Image.Exif()
  exif[picture.ORIENTATION] = 6
  options = {
    "png": ("PNG", {"exif": exif}),
    "animated png": ("PNG", {"save_all": True, "append_images": [image.rotate(90)]}),
    "jpeg": ("JPEG", {"exif": exif}),
    "progressive jpeg": ("JPEG", {"progressive": True}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {"exif": exif}),
    "packed tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "webp": ("WEBP", {"exif": exif}),
  }
  for name, (kind, given) in options.items():
    buffer = io.BytesIO()
    image.save(buffer, kind, **given)
    yield name, buffer.getvalue()


PICTURES = dict(picture_files())


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name):
  whole = PICTURES[name]
  found = [
    outcome(functools.partial(picture.rgb, mutations.mutated(whole, seed), turn=True))
    for seed in range(100)
  ]
  assert sum(said != "done" for said in found) > 20
  assert picture.rgb(whole).mode == "RGB"
