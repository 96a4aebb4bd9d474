"""Reading RegDB trees, whole and damaged."""

import shutil

import owner_trees
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.layout import regdb


@pytest.fixture
def tree(tmp_path):
  return owner_trees.regdb(tmp_path / "tree")


def _edit(path, change):
  path.write_text("\n".join(change(path.read_text().splitlines())))


def test_every_image_is_listed_once(tree):
  layout = regdb.read(tree)
  assert layout.warnings == ()
  assert layout.splits == ("full",)
  assert len(layout.images) == len({image.file_name for image in layout.images}) == 2 * 4 * 3
  first, last = layout.images[0], layout.images[-1]
  assert first.file_name == "Visible/1/male_back_v_00000_1.bmp"
  assert (first.identity, first.camera, first.modality) == (1, 1, VISIBLE)
  assert last.file_name == "Thermal/7/male_back_t_00002_7.bmp"
  assert (last.identity, last.camera, last.modality) == (7, 2, INFRARED)


def test_the_ten_splits_are_lists_of_folder_numbers(tree):
  subsets = regdb.read(tree).metadata["subsets"]
  assert list(subsets)[:3] == ["train_1", "test_1", "train_2"]
  assert len(subsets) == 20
  assert subsets["test_1"] == {"split": "full", "identities": [2, 4]}
  assert subsets["train_1"] == {"split": "full", "identities": [1, 7]}
  assert subsets["test_3"]["identities"] == [1, 7]


@pytest.mark.parametrize("missing", ["Visible", "Thermal", "idx"])
def test_a_missing_folder_is_named(tree, missing):
  shutil.rmtree(tree / missing)
  with pytest.raises(UserError, match=f"has no folder {missing}/"):
    regdb.read(tree)


def test_a_missing_list_is_named(tree):
  (tree / "idx/test_thermal_10.txt").unlink()
  with pytest.raises(UserError, match=r"no file idx/test_thermal_10\.txt"):
    regdb.read(tree)


def test_all_missing_images_are_named(tree):
  names = ["Thermal/2/male_back_t_00001_2.bmp", "Visible/7/male_back_v_00000_7.bmp"]
  for name in names:
    (tree / name).unlink()
  with pytest.raises(UserError) as caught:
    regdb.read(tree)
  assert str(caught.value).startswith("2 of the images listed in idx/")
  assert all(name in str(caught.value) for name in names)


def test_people_in_both_halves_of_a_split_are_refused(tree):
  line = "Visible/2/male_back_v_00000_2.bmp 2"
  _edit(tree / "idx/train_visible_1.txt", lambda lines: lines + [line])
  with pytest.raises(UserError, match="train_1 and test_1 share the identities 2:"):
    regdb.read(tree)


def test_a_name_of_another_form_is_refused(tree):
  _edit(tree / "idx/train_visible_1.txt", lambda lines: ["Thermal/1/x.bmp 0"] + lines)
  with pytest.raises(UserError, match="expected Visible/IDENTITY/FILE"):
    regdb.read(tree)


def test_an_image_that_one_list_leaves_out_is_warned_about(tree):
  _edit(tree / "idx/test_thermal_4.txt", lambda lines: lines[1:])
  (warning,) = regdb.read(tree).warnings
  assert warning.startswith("idx/test_thermal_4.txt leaves out images of its identities")
  assert warning.endswith("Thermal/1/male_back_t_00000_1.bmp")


def test_an_image_in_no_list_is_warned_about_and_left_out(tree):
  owner_trees.picture(tree / "Visible/4/extra.bmp", 0)
  layout = regdb.read(tree)
  (warning,) = layout.warnings
  assert warning.endswith("Visible/4/extra.bmp")
  assert len(layout.images) == 24


def test_labels_that_do_not_follow_the_folders_are_warned_about(tree):
  _edit(tree / "idx/train_visible_2.txt", lambda lines: lines[:-1] + [lines[-1][:-1] + "9"])
  (warning,) = regdb.read(tree).warnings
  assert warning.startswith("train lists of trial 2: 2 identity folders but 3 labels")


def test_an_identity_of_one_modality_is_warned_about(tree):
  for path in (tree / "idx").glob("*_thermal_*.txt"):
    _edit(path, lambda lines: [line for line in lines if not line.startswith("Thermal/4/")])
  warnings = regdb.read(tree).warnings
  assert any("all trials: only visible images of identities 4;" in text for text in warnings)


def test_real_counts_are_compared(tmp_path):
  warnings = regdb.read(owner_trees.regdb(tmp_path, synthetic=False)).warnings
  assert "all, visible: expected 4,120 images, found 12" in warnings
  assert "test_10: expected 206 identities, found 2" in warnings
  assert len(warnings) == 4 + 20
