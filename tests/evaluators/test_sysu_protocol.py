"""Tests of the SYSU-MM01 protocol on small made-up splits."""

import numpy as np
import pytest
from plain_ranking import plain_ranking

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators.protocols import create, sysu_mm01


def split(images, cameras_of):
  """Returns records with `images` per folder of {identity: cameras}."""
  rows = [
    (identity, camera, f"cam{camera}/{identity:04d}/{image:04d}.jpg")
    for identity, cameras in cameras_of.items()
    for camera in cameras
    for image in range(1, images + 1)
  ]
  identity, camera, name = map(np.array, zip(*rows, strict=True))
  return Records(identity, camera, np.where(np.isin(camera, (3, 6)), INFRARED, VISIBLE), name)


def permutations(records, trials=10):
  table = {}
  rng = np.random.default_rng(5)
  for camera in range(1, 7):
    for identity in records.identities():
      count = int(((records.camera == camera) & (records.identity == identity)).sum())
      rows = [(rng.permutation(count) + 1).tolist() for _ in range(trials)]
      table.setdefault(str(camera), {})[str(identity)] = rows if count else []
  return table


WORLD = {
  1: (1, 2, 3, 4, 5, 6),
  2: (2, 3),  # vanishes with camera 2: no valid query of its own
  5: (2, 3, 6),  # valid for camera 6 only
  8: (1, 3, 4, 6),
  9: (4, 5, 6),  # not indoor
}


def random_features(records, seed=0):
  return np.random.default_rng(seed).normal(size=(len(records), 16)).astype(np.float32)


def plain_trial(features, records, gallery):
  """Restates one trial with a mask instead of dropped columns."""
  unit = features / np.linalg.norm(features, axis=1, keepdims=True)
  queries = np.flatnonzero(np.isin(records.camera, (3, 6)))
  near = (records.camera[queries] == 3)[:, None] & (records.camera[gallery] == 2)[None]
  return plain_ranking(
    unit[queries] @ unit[gallery].T,
    records.identity[queries],
    records.identity[gallery],
    near,
    unique_identities=True,
  )


@pytest.mark.parametrize("gallery", ["random_choice", "official"])
@pytest.mark.parametrize("mode", ["all", "indoor"])
def test_trials_equal_the_plain_restatement(mode, gallery):
  records = split(4, WORLD)
  metadata = {"gallery_permutations": permutations(records)}
  features = random_features(records)
  protocol = create("sysu_mm01", modes=mode, shots=(1, 3), trials=3, galleries=gallery)
  found = protocol.evaluate(features, records, metadata)
  assert set(found) == {f"{mode}/1-shot/{gallery}", f"{mode}/3-shot/{gallery}"}
  for shots in (1, 3):
    result = found[f"{mode}/{shots}-shot/{gallery}"]
    drawn = sysu_mm01.gallery_rows(
      records, metadata, mode=mode, shots=shots, gallery=gallery, trials=3
    )
    for trial, rows in enumerate(drawn):
      want = plain_trial(features, records, rows)
      got = result.trials[trial]
      assert got["rank-1"] == pytest.approx(want["cmc"][0])
      assert got["rank-5"] == pytest.approx(want["cmc"][4])
      assert got["mAP"] == pytest.approx(want["mAP"])
      assert got["mINP"] == pytest.approx(want["mINP"])
      assert result.valid_queries[trial] == want["valid_queries"]


def test_identities_that_vanish_with_camera_2():
  records = split(4, WORLD)
  found = create("sysu_mm01", shots=1, trials=2, galleries="random_choice").evaluate(
    random_features(records), records, {}
  )
  search, indoor = found["all/1-shot/random_choice"], found["indoor/1-shot/random_choice"]
  assert search.queries == indoor.queries == 4 * 8
  # Without a match: identities 2 and 5 in camera 3; indoor also identity 9.
  assert search.valid_queries == (4 * 6,) * 2
  assert indoor.valid_queries == (4 * 5,) * 2
  assert search.gallery_sizes == (10, 10)
  assert indoor.gallery_sizes == (5, 5)


def test_whole_gallery_of_camera_3_vanishes():
  records = split(3, {1: (2, 3, 6), 2: (2, 3, 6)})
  found = create("sysu_mm01", modes="all", shots=1, galleries="random_choice").evaluate(
    random_features(records), records, {}
  )
  result = found["all/1-shot/random_choice"]
  assert result.valid_queries == (6,) * 10
  assert 0.5 <= result.mean["mAP"] <= 1


def test_all_equal_features_rank_by_gallery_order():
  records = split(2, {1: (1, 6), 2: (1, 6), 3: (1, 6), 4: (1, 6)})
  features = np.zeros((len(records), 8), np.float32)
  features[:, 0] = 1  # products are exact, so that ties are ties on every machine
  found = create("sysu_mm01", modes="all", shots=1, trials=2, galleries="random_choice").evaluate(
    features, records, {}
  )
  result = found["all/1-shot/random_choice"]
  assert result.mean["rank-1"] == 1 / 4
  assert result.mean["mAP"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
  assert result.std["mAP"] == 0


def test_storage_order_does_not_matter():
  records = split(4, WORLD)
  features = random_features(records)
  order = np.random.default_rng(3).permutation(len(records))
  protocol = create("sysu_mm01", trials=2)
  metadata = {"gallery_permutations": permutations(records)}
  first = protocol.evaluate(features, records, metadata)
  second = protocol.evaluate(features[order], records.take(order), metadata)
  assert len(first) == 8
  for name, result in first.items():
    assert result.mean == pytest.approx(second[name].mean)


def test_normalisation_is_a_switch():
  records = split(4, WORLD)
  features = random_features(records)
  scale = np.random.default_rng(4).uniform(0.2, 5, (len(records), 1)).astype(np.float32)
  protocol = create("sysu_mm01", modes="all", shots=1, galleries="random_choice")
  name = "all/1-shot/random_choice"
  plain = protocol.evaluate(features, records, {})[name]
  scaled = protocol.evaluate(features * scale, records, {})[name]
  raw = protocol.evaluate(features * scale, records, {}, normalize=False)[name]
  assert plain.mean == pytest.approx(scaled.mean)
  assert abs(raw.mean["mAP"] - plain.mean["mAP"]) > 1e-3
  assert (plain.conditions["normalize"], raw.conditions["normalize"]) == (True, False)


def test_without_the_permutation_the_other_variant_still_runs():
  records = split(2, WORLD)
  found = create("sysu_mm01", modes="all", shots=1).evaluate(random_features(records), records, {})
  assert found["all/1-shot/random_choice"].trials
  missing = found["all/1-shot/official"]
  assert not missing.trials
  assert "rand_perm_cam.mat" in missing.not_run


def test_official_alone_without_the_permutation():
  records = split(2, WORLD)
  with pytest.raises(UserError, match=r"nothing could be evaluated.*rand_perm_cam\.mat"):
    create("sysu_mm01", galleries="official").evaluate(random_features(records), records, {})


def test_more_trials_than_the_permutation_has():
  records = split(2, WORLD)
  found = create("sysu_mm01", modes="all", shots=1, trials=11).evaluate(
    random_features(records), records, {"gallery_permutations": permutations(records)}
  )
  assert "trial 10 is needed" in found["all/1-shot/official"].not_run
  assert len(found["all/1-shot/random_choice"].trials) == 11


def test_split_without_a_match():
  records = split(2, {1: (1,), 2: (6,)})
  with pytest.raises(UserError, match="none of the 2 queries has a match"):
    create("sysu_mm01").evaluate(random_features(records), records, {})


def test_features_that_are_not_finite():
  records = split(2, WORLD)
  features = random_features(records)
  features[3] = np.nan
  with pytest.raises(UserError, match="NaN or infinite"):
    create("sysu_mm01").evaluate(features, records, {})


def test_features_of_another_length():
  records = split(2, WORLD)
  with pytest.raises(UserError, match=f"the split holds {len(records)} images"):
    create("sysu_mm01").evaluate(random_features(records)[1:], records, {})
