"""The suite of one embedding pass: names, conditions, and numbers equal to separate runs."""

import numpy as np
import pytest

from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import protocols
from vireid_jax.evaluators import suite as suite_lib
from vireid_jax.evaluators.reranking import Reranking, k_reciprocal_distance
from vireid_jax.evaluators.suite import Suite


def records_of(identities=8, images=3):
  rows = [
    (identity, camera, f"cam{camera}/{identity:04d}/{image:04d}.jpg")
    for camera in range(1, 7)
    for identity in range(1, identities + 1)
    for image in range(1, images + 1)
  ]
  identity, camera, name = map(np.array, zip(*rows, strict=True))
  return Records(identity, camera, np.where(np.isin(camera, (3, 6)), INFRARED, VISIBLE), name)


def features_of(records, seed=0, noise=1.0):
  rng = np.random.default_rng(seed)
  centres = rng.normal(size=(records.identity.max() + 1, 16))
  return (centres[records.identity] + noise * rng.normal(size=(len(records), 16))).astype("f4")


@pytest.fixture(scope="module")
def task():
  records = records_of()
  return records, {"after_neck": features_of(records), "before_neck": features_of(records, 1)}


def sysu(**options):
  return protocols.create("sysu_mm01", galleries="random_choice", trials=2, shots=1, **options)


def test_every_variant_has_its_name_and_conditions(task):
  records, features = task
  suite = Suite(sysu(modes="all"), flip=True, rerank=Reranking(k1=5, k2=3), mixed=True)
  found = suite.evaluate(features, records, {})
  setting = "all/1-shot/random_choice"
  mixed = {"visible_to_mixed/1-shot", "infrared_to_mixed/1-shot"}
  assert set(found) == {
    *(f"{name}{feature}" for name in {setting, *mixed} for feature in ("", "/before_neck")),
    f"{setting}/rerank",
    f"{setting}/before_neck/rerank",
  }
  reranked = found[f"{setting}/before_neck/rerank"].conditions
  assert reranked["setting"] == setting
  assert reranked["feature"] == "before_neck"
  assert reranked["flip"] is True
  assert reranked["rerank"] == {
    "k1": 5,
    "k2": 3,
    "lambda_value": 0.3,
    "query_only": False,
  }
  assert found[setting].conditions["rerank"] is None
  assert found[setting].trials != found[f"{setting}/rerank"].trials
  plain = sysu(modes="all").evaluate(features["before_neck"], records, {})[setting]
  assert found[f"{setting}/before_neck"].trials == plain.trials


def test_quick_look_is_trial_0_alone(task):
  records, features = task
  suite = Suite(sysu(), rerank=Reranking(), mixed=True)
  quick = suite.quick().evaluate({"after_neck": features["after_neck"]}, records, {})
  whole = suite.evaluate({"after_neck": features["after_neck"]}, records, {})
  assert set(quick) == {"all/1-shot/random_choice", "indoor/1-shot/random_choice"}
  for name, result in quick.items():
    assert result.trials == whole[name].trials[:1]


def plain_reranked_map(features, records, query_rows, gallery_rows, drop):
  from plain_ranking import plain_ranking

  unit = features / np.linalg.norm(features, axis=1, keepdims=True)
  distance = k_reciprocal_distance(unit[query_rows], unit[gallery_rows])
  found = plain_ranking(
    -distance, records.identity[query_rows], records.identity[gallery_rows], drop, True
  )
  return found["mAP"]


def test_reranked_sysu_equals_the_distance_ranked_plainly(task):
  from vireid_jax.evaluators.protocols import sysu_mm01

  records, features = task
  matrix = features["after_neck"]
  found = sysu(modes="all").evaluate(matrix, records, {}, rerank=Reranking())
  query = np.flatnonzero(records.modality == INFRARED)
  drawn = sysu_mm01.gallery_rows(
    records, {}, mode="all", shots=1, gallery="random_choice", trials=2
  )
  for trial, gallery in enumerate(drawn):
    drop = (records.camera[query] == 3)[:, None] & (records.camera[gallery] == 2)[None]
    want = plain_reranked_map(matrix, records, query, gallery, drop)
    got = found["all/1-shot/random_choice"].trials[trial]["mAP"]
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("normalize", [True, False])
def test_reranked_regdb_and_llcm_run_on_the_same_distance(task, normalize):
  records, features = task
  matrix = features["after_neck"]
  if normalize:
    matrix = 3 * matrix  # lengths must not matter
  regdb = protocols.create("regdb").evaluate(
    matrix, records, {}, normalize=normalize, rerank=Reranking()
  )
  rows = [np.flatnonzero(records.modality == side) for side in (VISIBLE, INFRARED)]
  used = matrix / np.linalg.norm(matrix, axis=1, keepdims=True) if normalize else matrix
  from plain_ranking import plain_ranking

  for direction, (query, gallery) in {
    "visible_to_infrared": rows,
    "infrared_to_visible": rows[::-1],
  }.items():
    distance = k_reciprocal_distance(used[query], used[gallery])
    want = plain_ranking(-distance, records.identity[query], records.identity[gallery])
    np.testing.assert_allclose(regdb[direction].mean["mAP"], want["mAP"], atol=2e-4)
  llcm = protocols.create("llcm", trials=2)
  plain = llcm.evaluate(matrix, records, {}, normalize=normalize)
  reranked = llcm.evaluate(matrix, records, {}, normalize=normalize, rerank=Reranking())
  assert reranked["visible_to_infrared"].mean["mAP"] > plain["visible_to_infrared"].mean["mAP"]


def test_reranking_on_an_accelerator_gives_the_same_results(task, monkeypatch):
  records, features = task
  protocol = sysu(modes="all")
  sparse = protocol.evaluate(features["after_neck"], records, {}, rerank=Reranking())
  monkeypatch.setattr("vireid_jax.runtime.platform.is_cpu", lambda: False)
  dense = protocol.evaluate(features["after_neck"], records, {}, rerank=Reranking())
  for name, result in sparse.items():
    for metric, rate in result.mean.items():
      np.testing.assert_allclose(dense[name].mean[metric], rate, atol=1e-3)


def test_corrupted_draws_are_joined_trial_by_trial(task):
  records, features = task
  suite = Suite(sysu(modes="all"))
  visible = records.modality == VISIBLE
  draws, copies = [], []
  for seed in (5, 6):
    damaged = {"after_neck": features_of(records, seed)[visible]}
    replaced = suite_lib.with_visible({"after_neck": features["after_neck"]}, damaged, records)
    np.testing.assert_array_equal(
      replaced["after_neck"][~visible], features["after_neck"][~visible]
    )
    copies.append(suite.evaluate(replaced, records, {}))
    draws.append(copies[-1]["all/1-shot/random_choice"].trials)
  joined = suite_lib.join_draws(copies, {"draws": 2})
  (result,) = joined.values()
  assert list(joined) == ["all/1-shot/random_choice/corrupted"]
  assert result.trials == draws[0] + draws[1]
  assert len(result.valid_queries) == len(result.gallery_sizes) == 4
  assert result.conditions["corruption"] == {"draws": 2}
  np.testing.assert_array_equal(features["after_neck"], features_of(records))
