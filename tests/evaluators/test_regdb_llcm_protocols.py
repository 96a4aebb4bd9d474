"""Tests of the RegDB and LLCM protocols."""

import numpy as np
import pytest
from plain_ranking import plain_ranking

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators.protocols import create, cross_modality, draws, exclusions


def regdb_records(identities=6, images=4):
  identity = np.tile(np.repeat(np.arange(identities), images), 2)
  modality = np.repeat([VISIBLE, INFRARED], identities * images)
  names = [f"{m}/{i}/{n}.bmp" for n, (m, i) in enumerate(zip(modality, identity, strict=True))]
  return Records(identity, modality + 1, modality, np.array(names))


def unit_features(records, seed=0):
  features = np.random.default_rng(seed).normal(size=(len(records), 12))
  return features / np.linalg.norm(features, axis=1, keepdims=True)


def check(result, trial, want):
  assert result.trials[trial]["rank-1"] == pytest.approx(want["cmc"][0])
  assert result.trials[trial]["rank-10"] == pytest.approx(want["cmc"][9])
  assert result.trials[trial]["mAP"] == pytest.approx(want["mAP"])
  assert result.trials[trial]["mINP"] == pytest.approx(want["mINP"])
  assert result.valid_queries[trial] == want["valid_queries"]


def test_regdb_directions_swap_the_roles():
  records = regdb_records()
  features = unit_features(records)
  found = create("regdb").evaluate(features, records, {})
  visible, infrared = features[:24], features[24:]
  identity = records.identity[:24]
  want = plain_ranking(visible @ infrared.T, identity, identity)
  check(found["visible_to_infrared"], 0, want)
  want = plain_ranking(infrared @ visible.T, identity, identity)
  check(found["infrared_to_visible"], 0, want)
  assert found["infrared_to_visible"].gallery_sizes == (24,)
  assert len(found["infrared_to_visible"].trials) == 1


def test_regdb_is_symmetric_in_the_modalities():
  records = regdb_records()
  features = unit_features(records)
  swapped = Records(records.identity, records.camera, 1 - records.modality, records.name)
  first = create("regdb").evaluate(features, records, {})
  second = create("regdb").evaluate(features, swapped, {})
  assert first["visible_to_infrared"].trials == second["infrared_to_visible"].trials
  assert first["infrared_to_visible"].trials == second["visible_to_infrared"].trials


def test_regdb_cmc_counts_images():
  records = Records([1, 2, 2, 1], [1, 2, 2, 2], [0, 1, 1, 1], ["a", "b", "c", "d"])
  features = np.array([[1, 0], [1, 0.1], [1, 0.2], [1, 0.9]], np.float32)
  result = create("regdb", directions="visible_to_infrared").evaluate(features, records, {})
  assert result["visible_to_infrared"].trials[0]["mAP"] == pytest.approx(1 / 3)
  assert result["visible_to_infrared"].trials[0]["rank-5"] == 1


def test_regdb_unnormalised_ranks_by_euclidean_distance():
  records = regdb_records()
  features = unit_features(records) * np.random.default_rng(1).uniform(0.5, 3, (len(records), 1))
  found = create("regdb").evaluate(features, records, {}, normalize=False)
  distance = np.linalg.norm(features[:24, None] - features[None, 24:], axis=-1)
  identity = records.identity[:24]
  check(found["visible_to_infrared"], 0, plain_ranking(-distance, identity, identity))
  check(found["infrared_to_visible"], 0, plain_ranking(-distance.T, identity, identity))


def test_regdb_with_one_modality():
  records = regdb_records().take(np.arange(24))
  with pytest.raises(UserError, match="the test split has no image for the gallery"):
    create("regdb").evaluate(unit_features(records), records, {})


def llcm_records(seed=0):
  """Returns 3 images per (identity, camera, modality); no infrared camera 3."""
  rng = np.random.default_rng(seed)
  rows = []
  for identity in (2, 3, 11, 40, 41):
    for camera in range(1, 10):
      for modality, side in ((VISIBLE, "vis"), (INFRARED, "nir")):
        if rng.random() < 0.4 or (modality == INFRARED and camera == 3):
          continue
        for image in range(3):
          name = f"test_{side}/cam{camera}/{identity:04d}/{image}.jpg"
          rows.append((identity, camera, modality, name))
  return Records(*map(np.array, zip(*rows, strict=True)))


@pytest.mark.parametrize("direction", ["visible_to_infrared", "infrared_to_visible"])
def test_llcm_trials_equal_the_plain_restatement(direction):
  records = llcm_records()
  features = unit_features(records)
  result = create("llcm", trials=3).evaluate(features, records, {})[direction]
  query_side, gallery_side = cross_modality.DIRECTIONS[direction]
  queries = np.flatnonzero(records.modality == query_side)
  groups = draws.group_by_identity_and_camera(records, gallery_side)
  for trial in range(3):
    gallery = draws.random_choice(groups, trial=trial, shots=1)
    check(result, trial, ranked_without_own_camera(features, records, queries, gallery))
    assert result.gallery_sizes[trial] == len(groups)
  assert result.std["mAP"] > 0


def ranked_without_own_camera(features, records, queries, gallery):
  """Ranks by the plain loop, without gallery images of the query's identity and camera."""
  identity, camera = records.identity, records.camera
  exclude = [
    [identity[q] == identity[g] and camera[q] == camera[g] for g in gallery] for q in queries
  ]
  similarity = features[queries] @ features[gallery].T
  return plain_ranking(
    similarity, identity[queries], identity[gallery], exclude, unique_identities=True
  )


def test_llcm_as_released_searches_the_drawn_infrared_images_in_all_visible_ones():
  records = llcm_records()
  features = unit_features(records)
  found = create("llcm", trials=3, llcm_direction="deen_release").evaluate(features, records, {})
  assert list(found) == ["visible_to_infrared/deen_release", "infrared_to_visible"]
  standard = create("llcm", trials=3).evaluate(features, records, {})
  assert found["infrared_to_visible"] == standard["infrared_to_visible"]
  result = found["visible_to_infrared/deen_release"]
  assert result.conditions["llcm_direction"] == "deen_release"
  gallery = np.flatnonzero(records.modality == VISIBLE)
  groups = draws.group_by_identity_and_camera(records, INFRARED)
  assert result.queries == len(groups) and set(result.gallery_sizes) == {len(gallery)}
  for trial in range(3):
    queries = draws.random_choice(groups, trial=trial, shots=1)
    check(result, trial, ranked_without_own_camera(features, records, queries, gallery))


def test_llcm_direction_of_another_name_is_refused():
  with pytest.raises(UserError, match=r"llcm_direction holds 'release'.*deen_release"):
    create("llcm", llcm_direction="release")


def test_llcm_leaves_out_same_identity_and_camera_only():
  records = Records([1, 1, 2, 1], [4, 4, 4, 5], [0, 1, 1, 1], ["a", "b", "c", "d"])
  excluded = exclusions.alike(records, ("identity", "camera"), np.array([0]), np.array([1, 2, 3]))
  assert excluded.tolist() == [[True, False, False]]


def test_llcm_query_with_only_its_own_folder_is_not_counted():
  records = Records([1, 1, 2, 2], [4, 4, 4, 5], [0, 1, 0, 1], ["a", "b", "c", "d"])
  features = np.eye(4, dtype=np.float32)
  result = create("llcm", directions="visible_to_infrared", trials=1).evaluate(
    features, records, {}
  )
  assert result["visible_to_infrared"].valid_queries == (1,)
  assert result["visible_to_infrared"].queries == 2
