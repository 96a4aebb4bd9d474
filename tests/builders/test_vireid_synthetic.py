"""The rendered data set, stored and read back."""

import json

import pytest
import tensorflow_datasets as tfds

from tfds_builders.vireid_synthetic import vireid_synthetic_dataset_builder as synthetic_builder
from vireid_jax.data import preparing, synthetic

SPEC = synthetic.WorldSpec(3, 1, 2, images_per_camera=2, image_height=32, image_width=16, seed=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  patch = pytest.MonkeyPatch()
  patch.setitem(synthetic.PRESETS, "smoke", SPEC)
  yield preparing.prepare("vireid_synthetic/smoke", data_dir=tmp_path_factory.mktemp("data"))
  patch.undo()


def _rows(folder, split):
  source = tfds.builder_from_directory(str(folder)).as_data_source(
    split, decoders={"image": tfds.decode.SkipDecoding()}
  )
  return source.__getitems__(list(range(len(source))))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_holds_the_images_of_its_world(folder, split):
  rows = _rows(folder, split)
  expected = list(SPEC.images(split))
  assert [(row["identity"], row["camera"]) for row in rows] == [(i, c) for i, c, _ in expected]
  assert [row["file_name"].decode() for row in rows] == [
    f"cam{camera}/{identity:04d}/{index:04d}.jpg" for identity, camera, index in expected
  ]
  assert [row["modality"] for row in rows] == [int(camera in (3, 6)) for _, camera, _ in expected]


def test_it_equals_the_written_tree_of_the_same_world(folder, tmp_path):
  tree = synthetic.write_sysu_mm01(tmp_path / "tree", SPEC)
  other = preparing.prepare("sysu_mm01", data_dir=tmp_path / "data", manual_dir=tree)
  for split in synthetic.SPLITS:
    mine = {row["file_name"]: bytes(row["image"]) for row in _rows(folder, split)}
    assert mine == {row["file_name"]: bytes(row["image"]) for row in _rows(other, split)}
  mine, others = (json.loads((place / "metadata.json").read_text()) for place in (folder, other))
  assert mine.pop("world")["seed"] == 7
  assert mine == others


def test_permutations_cover_the_test_identities(folder):
  metadata = json.loads((folder / "metadata.json").read_text())
  assert metadata["synthetic"] is True
  permutations = metadata["gallery_permutations"]
  pairs = {(int(camera), int(i)) for camera, rows in permutations.items() for i in rows}
  assert pairs == {(camera, identity) for identity, camera, _ in SPEC.images("test")}
  for table in permutations.values():
    for rows in table.values():
      assert [sorted(row) for row in rows] == [[1, 2]] * 10


def test_every_preset_is_a_configuration():
  assert set(synthetic_builder.Builder.builder_configs) == set(synthetic.PRESETS)
