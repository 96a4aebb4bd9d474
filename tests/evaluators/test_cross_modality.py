"""The protocol of one's own data against a plain loop, and when a camera's own pictures count."""

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators.protocols import create
from vireid_jax.evaluators.reranking import Reranking


def make(shared, seed=0):
  """Five identities, two cameras per modality; with `shared`, the same two."""
  rng, rows = np.random.default_rng(seed), []
  for identity in range(1, 6):
    for modality in (VISIBLE, INFRARED):
      for camera in (1, 2):
        number = camera + (0 if shared else 2 * modality)
        rows += [(identity, number, modality)] * int(rng.integers(1, 4))
  identity, camera, modality = np.array(rows).T
  names = [f"{row}.png" for row in range(len(rows))]
  centres = rng.normal(size=(6, 8))
  features = centres[identity] + rng.normal(size=(len(rows), 8))
  return features.astype(np.float32), Records(identity, camera, modality, names)


def plain(features, records, query_modality, excludes):
  """Rank-1 and mAP by loops."""
  unit = features / np.linalg.norm(features, axis=1, keepdims=True)
  first, precisions = [], []
  for query in np.flatnonzero(records.modality == query_modality):
    gallery = [
      row
      for row in np.flatnonzero(records.modality != query_modality)
      if not (
        excludes
        and records.identity[row] == records.identity[query]
        and records.camera[row] == records.camera[query]
      )
    ]
    gallery.sort(key=lambda row, query=query: -float(unit[row] @ unit[query]))
    hits = [records.identity[row] == records.identity[query] for row in gallery]
    if any(hits):
      first.append(hits[0])
      ranks = np.flatnonzero(hits) + 1
      precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
  return np.mean(first), np.mean(precisions)


@pytest.mark.parametrize(
  "shared, option, excludes",
  [(False, "shared", False), (True, "shared", True), (True, "never", False)],
)
def test_numbers_are_those_of_a_plain_loop(shared, option, excludes):
  features, records = make(shared)
  found = create("cross_modality", exclude_same_camera=option).evaluate(features, records, {})
  assert list(found) == ["infrared_to_visible", "visible_to_infrared"]
  for name, modality in (("infrared_to_visible", INFRARED), ("visible_to_infrared", VISIBLE)):
    rank_1, precision = plain(features, records, modality, excludes)
    assert found[name].mean["rank-1"] == pytest.approx(rank_1)
    assert found[name].mean["mAP"] == pytest.approx(precision, abs=1e-6)
    assert len(found[name].trials) == 1
    assert found[name].conditions["exclude_same_camera"] is excludes


@pytest.mark.parametrize("shared, shots", [(False, 0), (True, 0), (True, 1)])
def test_comparisons_score_as_trial_0_of_the_evaluation(shared, shots):
  features, records = make(shared)
  protocol = create("cross_modality", shots=shots, trials=2)
  found = protocol.evaluate(features, records, {})
  comparisons = protocol.comparisons(records, {})
  assert list(comparisons) == list(found)
  for name, comparison in comparisons.items():
    scores = comparison.scores(comparison.similarity(features), records)
    assert scores.summary()["mAP"] == pytest.approx(found[name].trials[0]["mAP"])


def test_shots_draw_galleries_and_reranking_changes_them():
  features, records = make(False)
  protocol = create("cross_modality", directions="infrared_to_visible", shots=1, trials=3)
  found = protocol.evaluate(features, records, {})["infrared_to_visible/1-shot"]
  assert found.gallery_sizes == (10, 10, 10) and len(found.trials) == 3
  rerank = Reranking(k1=4, k2=2)
  again = protocol.evaluate(features, records, {}, rerank=rerank)["infrared_to_visible/1-shot"]
  assert again.mean["mAP"] != found.mean["mAP"]


@pytest.mark.parametrize(
  "options, message",
  [
    ({"directions": "infrared"}, "directions holds 'infrared'"),
    ({"shots": -1}, "shots holds -1"),
    ({"exclude_same_camera": "sometimes"}, "exclude_same_camera holds 'sometimes'"),
  ],
)
def test_wrong_arguments_are_named(options, message):
  with pytest.raises(UserError, match=message):
    create("cross_modality", **options)
