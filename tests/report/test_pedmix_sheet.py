"""The sheet of mixed pairs: the training's own pairs, and networks that say where they look."""

import config_files
import numpy as np
import pytest
import trained_models

from vireid_jax.common.errors import UserError
from vireid_jax.report.sheets import labels, pedmix


def test_pairs_are_training_images_with_their_masks(data_dir):
  config = config_files.smoke("tmpa_synthetic", data_dir)
  images, masks = pedmix.load_pairs(config, 3, seed=0)
  height, width = config.data.image_size
  for pixels, mask in zip(images, masks, strict=True):
    assert pixels.shape == (3, height, width, 3) and pixels.dtype == np.uint8
    assert mask.shape == (3, height, width) and 0.05 < mask.mean() < 0.95


def test_every_column_mixes_as_its_title_says():
  visible, infrared = (np.full((2, 24, 12, 3), value, np.uint8) for value in (200, 40))
  region = np.zeros((2, 24, 12), np.float32)
  region[:, 4:20, 3:9] = 1
  drawn = pedmix.columns((visible, infrared), {"mask": (region, region)}, ratio=0.5, seed=0)
  assert list(drawn) == ["original", "mask", "swap mask", "blend mask", *pedmix.CONTROLS]
  mixed = drawn["swap mask"][0]
  assert (mixed[region == 0] == 200).all()
  # Half of the bands come from the other image, whole.
  assert set(np.unique(mixed)) == {40, 200} and (mixed[region == 1] == 40).mean() == 0.5
  assert (drawn["blend mask"][0][region == 1] == 120).all()
  assert (drawn["mixup"][0] == 120).all()


def test_a_network_without_attention_is_refused(tmp_path):
  trained_models.save(tmp_path, "toys.linear")
  pixels = np.zeros((2, 8, 4, 3), np.uint8)
  with pytest.raises(UserError, match=r"network of toys\.linear, which has no region of attention"):
    pedmix.own_regions(tmp_path, (pixels, pixels))


def test_titles_and_modalities_are_above_the_pairs():
  dark, light = (np.full((2, 24, 40, 3), value, np.uint8) for value in (0, 90))
  sheet = pedmix.layout({"original": (dark, light), "swap mask": (light, dark)}, scale=2)
  above = pedmix.TITLE + pedmix.SIDES
  assert sheet.shape == (above + 2 * (2 * 24 + 2), 2 * 2 * (2 * 40 + 2), 3)
  assert (sheet[above:, :80][:48] == 0).all() and (sheet[above:, 82:162][:48] == 90).all()
  for top, bottom, columns in ((0, pedmix.TITLE, 2), (pedmix.TITLE, above, 4)):
    for cell in np.split(sheet[top:bottom], columns, axis=1):
      ink = (cell < 128).all(axis=-1)
      assert 0.01 < ink.mean() < 0.3  # a text
      assert not ink[0].any() and not ink[:, [0, -1]].any()  # that is not cut off


@pytest.mark.parametrize("text, width", [("elastic_transform", 80), ("infrared", 38), ("jpeg", 24)])
def test_labels_fit_into_their_strips(text, width):
  drawn = labels.strip(text, width, 32)
  ink = (drawn < 128).all(axis=-1)
  assert drawn.shape == (32, width, 3) and ink.any()
  assert not ink[[0, -1]].any() and not ink[:, [0, -1]].any()
