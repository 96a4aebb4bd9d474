"""The rendered data set, stored and read back."""

import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders.vireid_synthetic import vireid_synthetic_dataset_builder as synthetic_builder
from vireid_jax import prepare
from vireid_jax.data import synthetic

SPEC = synthetic.WorldSpec(3, 1, 2, images_per_camera=2, image_height=32, image_width=16, seed=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  patch = pytest.MonkeyPatch()
  patch.setitem(synthetic.PRESETS, "smoke", SPEC)
  yield prepare.prepare("vireid_synthetic/smoke", data_dir=tmp_path_factory.mktemp("data"))
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


def test_stored_pictures_are_the_rendered_ones(folder):
  for (identity, camera, index), row in zip(
    SPEC.images("test"), _rows(folder, "test"), strict=True
  ):
    stored = np.asarray(Image.open(io.BytesIO(row["image"])), float)
    rendered = synthetic.render(SPEC, identity, camera, index).image
    assert stored.shape == (32, 16, 3)
    # Of 255, what JPEG loses: little of the gray value, and little of a colour's mean.
    assert np.abs(stored.mean(-1) - rendered.mean(-1)).mean() < 4
    np.testing.assert_allclose(stored.mean((0, 1)), rendered.mean((0, 1)), atol=3)


def test_permutations_are_seeded_and_cover_the_test_identities(folder):
  metadata = json.loads((folder / "metadata.json").read_text())
  assert metadata["synthetic"] is True
  permutations = metadata["gallery_permutations"]
  pairs = {(int(camera), int(i)) for camera, rows in permutations.items() for i in rows}
  assert pairs == {(camera, identity) for identity, camera, _ in SPEC.images("test")}
  for table in permutations.values():
    for rows in table.values():
      assert [sorted(row) for row in rows] == [[1, 2]] * 10
  assert permutations == synthetic_builder.gallery_permutations(SPEC)


def test_every_preset_is_a_configuration():
  assert set(synthetic_builder.Builder.builder_configs) == set(synthetic.PRESETS)
