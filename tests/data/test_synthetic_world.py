"""What a synthetic world holds: splits, cameras, and the numbers it refuses."""

import dataclasses

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.data.synthetic import PRESETS, WORLDS, WorldSpec, gallery_permutation

QUICK = PRESETS["quick"]


def test_splits_are_disjoint_and_have_the_asked_sizes():
  sizes = [len(QUICK.identities(split)) for split in ("train", "val", "test")]
  assert sizes == [100, 16, 48]
  assert len(set(QUICK.identities())) == 164
  assert QUICK.identities() == tuple(sorted(QUICK.identities()))


def test_full_preset_has_the_owners_identity_counts_and_number_range():
  full = PRESETS["full"]
  assert [len(full.identities(split)) for split in ("train", "val", "test")] == [296, 99, 96]
  assert 491 < max(full.identities()) <= 533


def test_identity_numbers_of_the_splits_are_interleaved():
  train, test = QUICK.identities("train"), QUICK.identities("test")
  assert min(test) < np.median(train) < max(test)


def test_other_worlds_number_identities_without_gaps():
  spec = dataclasses.replace(QUICK, world="llcm")
  assert spec.identities() == tuple(range(1, 165))


def test_no_identity_loses_a_modality_and_many_lose_the_indoor_cameras():
  seen = [set(QUICK.cameras_of(identity)) for identity in QUICK.identities()]
  assert all(cameras & {1, 2, 4, 5} and cameras & {3, 6} for cameras in seen)
  outdoor_only = np.mean([not cameras & {1, 2} for cameras in seen])
  assert 0.15 < outdoor_only < 0.45


def test_nothing_is_missed_when_told_so():
  spec = dataclasses.replace(QUICK, missed=0.0)
  assert all(spec.cameras_of(identity) == (1, 2, 3, 4, 5, 6) for identity in spec.identities())


def test_cameras_have_the_owners_modalities():
  assert QUICK.cameras(VISIBLE) == (1, 2, 4, 5)
  assert QUICK.cameras(INFRARED) == (3, 6)
  assert WORLDS["sysu_mm01"][2].scene == WORLDS["sysu_mm01"][3].scene
  llcm = dataclasses.replace(QUICK, world="llcm")
  assert llcm.cameras(VISIBLE) == tuple(range(1, 10))
  assert llcm.cameras(INFRARED) == (11, 12, 14, 15, 16, 17, 18, 19)


def test_images_lists_every_camera_that_saw_an_identity():
  spec = PRESETS["smoke"]
  keys = list(spec.images("test"))
  expected = sum(4 * len(spec.cameras_of(identity)) for identity in spec.identities("test"))
  assert len(keys) == len(set(keys)) == expected
  assert keys == sorted(keys)
  assert {index for _, _, index in keys} == {1, 2, 3, 4}


def test_gallery_permutations_are_permutations_and_differ_between_trials():
  identity = QUICK.identities()[0]
  camera = QUICK.cameras_of(identity)[0]
  draws = gallery_permutation(QUICK, identity, camera)
  assert draws.shape == (10, 10)
  assert (np.sort(draws, axis=1) == np.arange(1, 11)).all()
  assert len(np.unique(draws, axis=0)) > 1
  np.testing.assert_array_equal(draws, gallery_permutation(QUICK, identity, camera))


def test_gallery_permutation_is_empty_where_unseen():
  spec = dataclasses.replace(QUICK, missed=1.0)
  assert gallery_permutation(spec, spec.identities()[0], 1).shape == (10, 0)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"train_identities": 0}, "train_identities must be at least 1, got 0"),
    ({"val_identities": -1}, "val_identities must be at least 0, got -1"),
    ({"images_per_camera": 0}, "images_per_camera must be at least 1"),
    ({"image_height": 10}, "image_height must be at least 24, got 10"),
    ({"occlusion": 1.5}, r"occlusion is a share in \[0, 1\], got 1.5"),
    ({"missed": float("nan")}, "missed is a share"),
    ({"pose": -0.1}, "pose must be at least 0"),
    ({"seed": -1}, "seed must be at least 0"),
    ({"world": "sysu"}, "unknown world 'sysu'.*sysu_mm01"),
  ],
)
def test_bad_numbers_are_refused(change, message):
  with pytest.raises(UserError, match=message):
    dataclasses.replace(PRESETS["smoke"], **change)


def test_unknown_split_names_the_nearest():
  with pytest.raises(UserError, match="did you mean 'test'"):
    WorldSpec(2, 0, 2, 1, 48, 24).identities("tests")
