"""Mixed galleries and verification against plain loops over images and pairs."""

import numpy as np
import pytest
from plain_ranking import plain_ranking
from test_suite import features_of, records_of

from vireid_jax.common.records import INFRARED, VISIBLE
from vireid_jax.evaluators import protocols, suite, verification
from vireid_jax.evaluators.protocols import draws
from vireid_jax.evaluators.similarity import similarity_matrix


@pytest.fixture(scope="module")
def task():
  records = records_of(identities=6)
  return records, features_of(records, noise=1.5)


@pytest.mark.parametrize("same_place", [(), ((3, 2), (2, 3))])
@pytest.mark.parametrize("modality", [VISIBLE, INFRARED])
def test_mixed_galleries_equal_a_plain_loop(task, same_place, modality):
  records, features = task
  protocol = protocols.create("mixed", trials=2, same_place=same_place)
  found = protocol.evaluate(features, records, {})
  query = np.flatnonzero(records.modality == modality)
  direction = "visible_to_mixed" if modality == VISIBLE else "infrared_to_mixed"
  result = found[f"{direction}/1-shot"]
  for trial in range(2):
    gallery = np.concatenate(
      [
        draws.random_choice(draws.group_by_identity_and_camera(records, side), trial=trial, shots=1)
        for side in (VISIBLE, INFRARED)
      ]
    )
    assert result.gallery_sizes[trial] == len(gallery) == 6 * 6
    drop = [
      [
        (records.identity[q] == records.identity[g] and records.camera[q] == records.camera[g])
        or (records.camera[q], records.camera[g]) in same_place
        for g in gallery
      ]
      for q in query
    ]
    similarity = similarity_matrix(features[query], features[gallery])
    want = plain_ranking(similarity, records.identity[query], records.identity[gallery], drop, True)
    assert result.trials[trial]["mAP"] == pytest.approx(want["mAP"], abs=1e-12)
    assert result.trials[trial]["rank-1"] == pytest.approx(want["cmc"][0], abs=1e-12)


def test_sysu_keeps_its_cameras_of_one_place_apart():
  protocol = suite.mixed_protocol(protocols.create("sysu_mm01", trials=3))
  assert protocol.same_place == ((3, 2), (2, 3))
  assert protocol.trials == 3
  assert suite.mixed_protocol(protocols.create("regdb")).same_place == ()


def pairs_of(records, similarity, left, right):
  genuine, impostor = [], []
  for i in np.flatnonzero(records.modality == left):
    for j in np.flatnonzero(records.modality == right):
      if left != right or i < j:
        same = records.identity[i] == records.identity[j]
        (genuine if same else impostor).append(similarity[i, j])
  return np.array(genuine), np.array(impostor)


def test_verification_equals_a_loop_over_pairs(task):
  records, features = task
  found = verification.evaluate(features, records)
  similarity = similarity_matrix(features, features)
  assert set(found) == {"visible-visible", "infrared-infrared", "visible-infrared"}
  for name, (left, right) in verification.PAIRS.items():
    genuine, impostor = pairs_of(records, similarity, left, right)
    assert found[name]["genuine"] == len(genuine)
    assert found[name]["impostor"] == len(impostor)
    for text, entry in found[name]["tar"].items():
      allowed = int(float(text) * len(impostor) + 1e-9)
      threshold = np.sort(impostor)[::-1][allowed]
      assert entry["threshold"] == pytest.approx(threshold, abs=1e-5)
      assert entry["far"] <= float(text)
      assert entry["tar"] == pytest.approx(np.mean(genuine > threshold), abs=2 / len(genuine))
    distance = np.sqrt(np.maximum(2 - 2 * genuine, 0))
    assert found[name]["distance"]["intra"]["mean"] == pytest.approx(distance.mean(), abs=1e-4)
    assert found[name]["distance"]["intra"]["std"] == pytest.approx(distance.std(), abs=1e-4)
    roc = np.array(found[name]["roc"])
    assert (np.diff(roc, axis=0) >= 0).all()
    assert roc[-1].tolist() == [1.0, 1.0]


def test_rates_of_known_scores():
  genuine = np.array([0.9, 0.8, 0.55, 0.1])
  impostor = np.arange(100) / 100 - 0.4  # -0.40 .. 0.59
  found = verification.separate(genuine, impostor)
  assert found["tar"]["0.1"]["threshold"] == pytest.approx(0.49)
  assert found["tar"]["0.1"]["far"] == pytest.approx(0.10)
  assert found["tar"]["0.1"]["tar"] == 0.75
  assert found["tar"]["0.01"]["tar"] == 0.5
  assert found["tar"]["0.001"] == {
    "tar": 0.5,
    "far": 0.0,
    "threshold": pytest.approx(0.59),
  }


def test_one_modality_alone_has_one_pair(task):
  records, features = task
  visible = records.modality == VISIBLE
  assert set(verification.evaluate(features[visible], records.take(visible))) == {"visible-visible"}
