"""Reading LLCM trees, whole and damaged."""

import shutil

import owner_trees
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.layout import llcm


@pytest.fixture
def tree(tmp_path):
  return owner_trees.llcm(tmp_path / "tree")


def test_identities_and_cameras_come_from_the_paths(tree):
  layout = llcm.read(tree)
  assert layout.warnings == ()
  assert layout.splits == ("train", "test")
  train = [image for image in layout.images if image.split == "train"]
  test = [image for image in layout.images if image.split == "test"]
  assert len(train) == 2 * 2 * 2
  assert {image.identity for image in train} == {1, 4}  # the lists' labels are 0 and 1
  image = next(i for i in train if i.file_name == "nir/0004/0004_c02_s1_f2_nir.jpg")
  assert (image.identity, image.camera, image.modality) == (4, 2, INFRARED)
  assert len(test) == 2 * (9 + 8)
  image = next(i for i in test if i.file_name == "test_vis/cam9/0012/0012_c09_s2_f1_vis.jpg")
  assert (image.identity, image.camera, image.modality) == (12, 9, VISIBLE)
  assert {i.camera for i in test if i.modality == INFRARED} == {1, 2, 4, 5, 6, 7, 8, 9}


@pytest.mark.parametrize("name", ["nir/0351/0351_c06_s200656_f4830_nir.jpg", "nir/351_c6.jpg"])
def test_names_of_the_owner_are_parsed(name):
  assert llcm.parse_name(name, "a list") == (351, 6)


def test_a_name_without_a_camera_is_refused():
  with pytest.raises(UserError, match=r"'nir/0351/0351\.jpg'"):
    llcm.parse_name("nir/0351/0351.jpg", "a list")


@pytest.mark.parametrize("missing", ["vis", "test_nir", "test_vis/cam3", "test_nir/cam9"])
def test_a_missing_folder_is_named(tree, missing):
  shutil.rmtree(tree / missing)
  with pytest.raises(UserError, match=f"has no folder {missing}/"):
    llcm.read(tree)


@pytest.mark.parametrize("missing", ["idx/train_nir.txt", "idx/test_id.txt"])
def test_a_missing_list_is_named(tree, missing):
  (tree / missing).unlink()
  with pytest.raises(UserError, match=f"no file {missing}"):
    llcm.read(tree)


def test_missing_training_images_are_named(tree):
  (tree / "vis/0001/0001_c02_s1_f2_vis.jpg").unlink()
  with pytest.raises(UserError, match=r"(?s)idx/train_vis\.txt.*vis/0001/0001_c02_s1_f2_vis\.jpg"):
    llcm.read(tree)


def test_people_in_both_train_and_test_are_refused(tree):
  (tree / "idx/test_id.txt").write_text("3,4,12")
  with pytest.raises(UserError, match="train and test share the identities 4:"):
    llcm.read(tree)


def test_test_identities_without_images_are_warned_about(tree):
  (tree / "idx/test_id.txt").write_text("3,12,800")
  assert llcm.read(tree).warnings == ("idx/test_id.txt lists identities without any image: 800",)


def test_real_counts_are_compared(tmp_path):
  warnings = llcm.read(owner_trees.llcm(tmp_path, synthetic=False)).warnings
  assert "train: expected 713 identities, found 2" in warnings
  assert "test, infrared: expected 7,166 images, found 16" in warnings
  assert len(warnings) == 6


def test_the_published_counts_add_up():
  assert sum(group.images for group in llcm.GROUPS if group.images) == 46_767
  assert sum(group.identities for group in llcm.GROUPS if group.identities) == 1_064
