"""Reading SYSU-MM01 trees, whole and damaged."""

import os
import pathlib
import shutil

import owner_trees
import pytest
import scipy.io

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.layout import sysu_mm01


@pytest.fixture
def tree(tmp_path):
  return owner_trees.sysu(tmp_path / "tree")


def test_images_carry_split_identity_camera_and_modality(tree):
  layout = sysu_mm01.read(tree)
  assert layout.warnings == ()
  assert layout.splits == ("train", "val", "test")
  # Of six identities, five cameras see all and camera 2 sees 1, 5, 9 and 3; 3 images each.
  assert len(layout.images) == (5 * 6 + 4) * 3
  image = next(image for image in layout.images if image.file_name == "cam3/0006/0002.jpg")
  assert (image.identity, image.camera, image.modality, image.split) == (6, 3, INFRARED, "test")
  assert image.path == tree / "cam3/0006/0002.jpg"
  modality = {image.camera: image.modality for image in layout.images}
  assert modality == {1: VISIBLE, 2: VISIBLE, 3: INFRARED, 4: VISIBLE, 5: VISIBLE, 6: INFRARED}
  for split, identities in owner_trees.SYSU_IDENTITIES.items():
    assert {i.identity for i in layout.images if i.split == split} == set(identities)


def test_metadata_holds_the_permutations_of_the_test_identities(tree):
  metadata = sysu_mm01.read(tree).metadata
  assert metadata["synthetic"] is True
  assert metadata["subsets"] == {}
  permutations = metadata["gallery_permutations"]
  assert set(permutations) == {"1", "2", "3", "4", "5", "6"}
  assert set(permutations["1"]) == {"3", "6"}
  assert set(permutations["2"]) == {"3"}  # it never saw the other one
  cells = scipy.io.loadmat(tree / "exp/rand_perm_cam.mat")["rand_perm_cam"]
  assert permutations["6"]["3"] == cells[5, 0][2, 0].tolist()
  assert len(permutations["6"]["3"]) == 10


@pytest.mark.parametrize("missing", ["cam1", "cam4", "exp"])
def test_a_missing_folder_is_named(tree, missing):
  shutil.rmtree(tree / missing)
  with pytest.raises(UserError, match=f"has no folder {missing}/"):
    sysu_mm01.read(tree)


def test_the_first_missing_folder_is_named(tree):
  shutil.rmtree(tree / "cam5")
  shutil.rmtree(tree / "cam2")
  with pytest.raises(UserError, match="has no folder cam2/"):
    sysu_mm01.read(tree)


def test_a_missing_list_is_named(tree):
  (tree / "exp/val_id.txt").unlink()
  with pytest.raises(UserError, match=r"no file exp/val_id\.txt"):
    sysu_mm01.read(tree)


def test_no_folder_at_all_is_refused(tmp_path):
  with pytest.raises(UserError, match="nowhere is not a folder"):
    sysu_mm01.read(tmp_path / "nowhere")


def test_the_folder_one_level_down_is_suggested(tree):
  with pytest.raises(UserError, match="tree has one: pass that folder"):
    sysu_mm01.read(tree.parent)


def test_people_in_both_train_and_test_are_refused(tree):
  (tree / "exp/test_id.txt").write_text("3,5,6")
  with pytest.raises(UserError, match="train and test share the identities 5:"):
    sysu_mm01.read(tree)


def test_an_empty_split_is_refused(tree):
  (tree / "exp/test_id.txt").write_text("77")
  with pytest.raises(UserError, match="split 'test'"):
    sysu_mm01.read(tree)


def test_listed_identities_without_images_and_empty_folders_are_warned_about(tree):
  (tree / "exp/train_id.txt").write_text("1,5,8,9")
  (tree / "cam1/0008").mkdir()
  warnings = sysu_mm01.read(tree).warnings
  assert "empty folders: cam1/0008" in warnings
  assert "exp/train_id.txt lists identities without any image: 8" in warnings


def test_an_identity_of_one_modality_is_warned_about(tree):
  for camera in (3, 6):
    shutil.rmtree(tree / f"cam{camera}/0005")
  (warning,) = sysu_mm01.read(tree).warnings
  assert warning.startswith("train: only visible images of identities 5; training needs both")


def test_real_counts_are_compared_and_rendered_ones_are_not(tmp_path):
  tree = owner_trees.sysu(tmp_path, synthetic=False)
  layout = sysu_mm01.read(tree)
  assert layout.metadata["synthetic"] is False
  assert "train: expected 296 identities, found 3" in layout.warnings
  assert "train + val, visible: expected 22,258 images, found 45" in layout.warnings
  assert "test, camera 6: expected 1,920 images, found 6" in layout.warnings
  assert len(layout.warnings) == 3 + 4 + 12


def test_without_the_permutation_file_there_is_a_warning_and_no_key(tmp_path):
  layout = sysu_mm01.read(owner_trees.sysu(tmp_path, permutations=False))
  assert "gallery_permutations" not in layout.metadata
  (warning,) = layout.warnings
  assert "rand_perm_cam.mat" in warning


def test_the_permutation_file_may_lie_in_the_evaluation_folder(tree):
  here = sysu_mm01.read(tree).metadata
  (tree / "evaluation/data_split").mkdir(parents=True)
  (tree / "exp/rand_perm_cam.mat").rename(tree / "evaluation/data_split/rand_perm_cam.mat")
  scipy.io.savemat(tree / "evaluation/data_split/test_id.mat", {"id": [[3, 6]]})
  there = sysu_mm01.read(tree)
  assert (there.metadata, there.warnings) == (here, ())


def test_another_list_of_test_identities_is_warned_about(tree):
  scipy.io.savemat(tree / "exp/test_id.mat", {"id": [[3, 8]]})
  assert sysu_mm01.read(tree).warnings == (
    "test_id.mat and exp/test_id.txt differ in identities 6, 8",
  )


def test_a_damaged_permutation_file_is_refused(tree):
  (tree / "exp/rand_perm_cam.mat").write_bytes(b"not a matlab file")
  with pytest.raises(UserError, match=r"rand_perm_cam\.mat is not the official permutation file"):
    sysu_mm01.read(tree)


def test_images_that_the_permutations_do_not_know_are_refused(tree):
  owner_trees.picture(tree / "cam4/0003/0004.jpg", 0)
  message = r"identity 3, camera 4: it draws from images 1 to 3, and there are 4 \(also image 4\)"
  with pytest.raises(UserError, match=message):
    sysu_mm01.read(tree)


@pytest.mark.skipif(
  "VIREID_OFFICIAL_SPLIT" not in os.environ, reason="VIREID_OFFICIAL_SPLIT names no folder"
)
def test_the_official_permutation_file_has_the_published_counts():
  folder = pathlib.Path(os.environ["VIREID_OFFICIAL_SPLIT"])
  test = scipy.io.loadmat(folder / "test_id.mat")["id"].ravel().tolist()
  permutations = sysu_mm01.read_permutations(folder / "rand_perm_cam.mat", test)
  images = [
    sum(len(rows[0]) for rows in permutations[str(camera)].values()) for camera in range(1, 7)
  ]
  identities = [len(permutations[str(camera)]) for camera in range(1, 7)]
  assert images == [1374, 1565, 1883, 1918, 1918, 1920]
  assert identities == [56, 56, 93, 94, 95, 96]
  assert min(len(r[0]) for table in permutations.values() for r in table.values()) == 13
