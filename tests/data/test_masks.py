"""Pedestrian masks: from a folder beside the owner's files, or the renderer, to a batch."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from vireid_jax.common.errors import UserError
from vireid_jax.data import layout, preparing, synthetic
from vireid_jax.data.prepared import source
from vireid_jax.data.training.pipeline import TrainData

SPEC = synthetic.PRESETS["smoke"]
WRITERS = {
  "sysu_mm01": synthetic.write_sysu_mm01,
  "regdb": synthetic.write_regdb,
  "llcm": synthetic.write_llcm,
}
PART = {"sysu_mm01": "train", "regdb": "train_1", "llcm": "train"}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
  """Rendered trees with masks, by name."""
  root = tmp_path_factory.mktemp("trees")
  return {name: write(root / name, SPEC, masks=True) for name, write in WRITERS.items()}


def pixels(stored):
  return np.asarray(Image.open(io.BytesIO(stored)))


@pytest.mark.parametrize("name", WRITERS)
def test_masks_beside_the_images_are_stored_with_them(trees, name, tmp_path):
  preparing.prepare(name, data_dir=tmp_path, manual_dir=trees[name])
  images = source.Dataset(name, tmp_path).load(PART[name], masks=True)
  assert len(images.masks) == len(images) > 20
  for row in (0, len(images) // 2, len(images) - 1):
    path = (trees[name] / "masks" / images.records.name[row]).with_suffix(".png")
    np.testing.assert_array_equal(pixels(images.masks[row]), np.asarray(Image.open(path)))
    assert set(np.unique(pixels(images.masks[row]))) == {0, 255}


def copied(tree, folder):
  """Copies a tree, to damage it."""
  return shutil.copytree(tree, folder)


def test_data_set_without_masks_reads_as_ever_and_says_what_to_do(trees, tmp_path):
  tree = copied(trees["regdb"], tmp_path / "tree")
  shutil.rmtree(tree / "masks")
  preparing.prepare("regdb", data_dir=tmp_path, manual_dir=tree)
  dataset = source.Dataset("regdb", tmp_path)
  assert not dataset.has_masks
  assert dataset.load("train_1").masks is None
  with pytest.raises(UserError, match=r"(?s)has no masks.*regdb --manual_dir DIR --overwrite"):
    dataset.load("train_1", masks=True)


def test_missing_masks_are_named(trees, tmp_path):
  tree = copied(trees["regdb"], tmp_path / "tree")
  gone = sorted((tree / "masks/Visible").glob("*/*.png"))[0]
  gone.unlink()
  with pytest.raises(UserError, match=f"no mask for 1 of .*{gone.name}"):
    layout.read("regdb", tree)


@pytest.mark.parametrize(
  "content, reason",
  [("small", "24 x 48 pixels and its mask 5 x 7"), ("", "its mask: not a picture")],
)
def test_masks_are_checked_like_images(trees, tmp_path, content, reason):
  tree = copied(trees["regdb"], tmp_path / "tree")
  bad = sorted((tree / "masks/Thermal").glob("*/*.png"))[3]
  if content:
    Image.new("L", (5, 7)).save(bad)
  else:
    bad.write_bytes(b"")
  with pytest.raises(UserError, match=reason):
    preparing.prepare("regdb", data_dir=tmp_path, manual_dir=tree)


def test_rendered_data_sets_carry_the_truth_and_batches_follow_it(data_dir):
  preparing.prepare("vireid_synthetic/smoke", data_dir=data_dir)
  images = source.Dataset("vireid_synthetic/smoke", data_dir).load("train", masks=True)
  sampler = {"name": "pairs", "num_identities": 3, "num_instances": 2}
  options = {"size": (48, 24), "resize": "lanczos", "seed": 0, "sampler_config": sampler}
  data = TrainData(images, **options)
  batch, indices = data.batch(5), data.sampler.batch(5)
  for modality in ("visible", "infrared"):
    masks = batch[f"{modality}_mask"]
    assert masks.shape == (6, 48, 24, 1) and masks.dtype == np.uint8
    for mask, row in zip(masks, getattr(indices, modality), strict=True):
      camera, identity, file = str(images.records.name[row]).split("/")
      key = int(identity), int(camera.removeprefix("cam")), int(file.split(".")[0])
      np.testing.assert_array_equal(mask[..., 0], synthetic.render(SPEC, *key).mask)
  plain = source.Dataset("vireid_synthetic/smoke", data_dir).load("train")
  assert set(TrainData(plain, **options).batch(5)) == {
    "visible",
    "infrared",
    "label",
  }


def test_resized_masks_keep_their_border_at_half():
  mask = np.zeros((40, 20), np.uint8)
  mask[10:30] = 255
  buffer = io.BytesIO()
  Image.fromarray(mask).save(buffer, "PNG")
  found = source.decode_mask(buffer.getvalue(), (80, 30))
  assert found.shape == (80, 30, 1)
  np.testing.assert_array_equal(np.flatnonzero(found[:, 15, 0] >= 128), np.arange(20, 60))
