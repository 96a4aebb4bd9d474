"""What the builders store, read back as training reads it."""

import io
import json

import numpy as np
import owner_trees
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders import layout_builder
from vireid_jax.common import units
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data import layout, preparing
from vireid_jax.data.prepared import location

TREES = {"sysu_mm01": owner_trees.sysu, "regdb": owner_trees.regdb, "llcm": owner_trees.llcm}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """Trees and the prepared data sets made from them, by name."""
  root = tmp_path_factory.mktemp("prepared")
  folders = {}
  for name, write in TREES.items():
    tree = write(root / "trees" / name)
    folders[name] = tree, preparing.prepare(name, data_dir=root / "data", manual_dir=tree)
  return folders


def _rows(folder, split):
  source = tfds.builder_from_directory(str(folder)).as_data_source(
    split, decoders={"image": tfds.decode.SkipDecoding()}
  )
  return source.__getitems__(list(range(len(source))))


@pytest.mark.parametrize("name", TREES)
def test_every_listed_image_is_stored_in_order_with_its_columns(prepared, name):
  tree, folder = prepared[name]
  listed = layout.read(name, tree)
  for split in listed.splits:
    images = [image for image in listed.images if image.split == split]
    rows = _rows(folder, split)
    assert [row["file_name"].decode() for row in rows] == [image.file_name for image in images]
    for column in ("identity", "camera", "modality"):
      assert [row[column] for row in rows] == [getattr(image, column) for image in images]
  assert set(tfds.builder_from_directory(str(folder)).info.splits) == set(listed.splits)


@pytest.mark.parametrize("name", ["sysu_mm01", "llcm"])
def test_jpeg_files_are_stored_byte_for_byte(prepared, name):
  tree, folder = prepared[name]
  rows = _rows(folder, "train") + _rows(folder, "test")
  assert len(rows) > 40
  for row in rows:
    assert bytes(row["image"]) == (tree / row["file_name"].decode()).read_bytes()


def test_bmp_files_become_png_files_of_the_same_pixels(prepared):
  tree, folder = prepared["regdb"]
  for row in _rows(folder, "full"):
    assert bytes(row["image"]).startswith(b"\x89PNG")
    stored = np.asarray(Image.open(io.BytesIO(row["image"])))
    original = np.asarray(Image.open(tree / row["file_name"].decode()))
    np.testing.assert_array_equal(stored, original)


def test_images_decode_through_the_data_source(prepared):
  tree, folder = prepared["regdb"]
  source = tfds.builder_from_directory(str(folder)).as_data_source("full")
  original = np.asarray(Image.open(tree / "Visible/1/male_back_v_00000_1.bmp"))
  np.testing.assert_array_equal(source[0]["image"], original)
  assert (source[0]["modality"], source[23]["modality"]) == (VISIBLE, INFRARED)


@pytest.mark.parametrize("name", TREES)
def test_metadata_survives_storage(prepared, name):
  tree, folder = prepared[name]
  expected = layout.read(name, tree).metadata | units.entry(units.PREPARED)
  assert json.loads((folder / "metadata.json").read_text()) == expected
  assert dict(tfds.builder_from_directory(str(folder)).info.metadata) == expected


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_any_kind_of_bmp_keeps_its_colours(mode):
  pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 3), np.uint8)
  picture = Image.fromarray(pixels).convert(mode)
  buffer = io.BytesIO()
  picture.save(buffer, "BMP")
  stored = Image.open(io.BytesIO(layout_builder.encoded(buffer.getvalue())))
  assert (stored.format, stored.mode) == ("PNG", "RGB")
  np.testing.assert_array_equal(np.asarray(stored), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("name", TREES)
def test_a_builder_also_works_without_the_prepare_command(prepared, name, tmp_path):
  tree, folder = prepared[name]
  builder_class, _ = preparing.find_builder(name)
  builder = builder_class(data_dir=str(tmp_path), file_format="array_record")
  assert builder.name == name
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=str(tree), try_download_gcs=False)
  )
  mine = location.dataset_folder(name, tmp_path)
  assert mine == tmp_path / name / "1.0.0"
  split = "full" if name == "regdb" else "train"
  assert len(_rows(mine, split)) == len(_rows(folder, split)) > 0
  assert (mine / "metadata.json").read_text() == (folder / "metadata.json").read_text()
