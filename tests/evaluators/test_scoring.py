"""The one loop: presets are what they say, and what is left out changes no other number."""

import dataclasses

import numpy as np
import pytest
from plain_ranking import plain_ranking
from test_comparison import records_of

from vireid_jax.common.records import VISIBLE
from vireid_jax.evaluators import protocols, ranking
from vireid_jax.evaluators.protocols import scoring
from vireid_jax.evaluators.reranking import Reranking


def features_of(records, seed=0):
  features = np.random.default_rng(seed).normal(size=(len(records), 4)).astype(np.float32)
  features[:, 0] += records.identity
  return features


@pytest.mark.parametrize("rerank", [None, Reranking(k1=5, k2=2)])
def test_regdb_is_cross_modality_without_exclusion(rerank):
  records = records_of()
  features = features_of(records)
  regdb = protocols.create("regdb").evaluate(features, records, {}, rerank=rerank)
  ours = protocols.create("cross_modality", exclude_same_camera="never")
  ours = ours.evaluate(features, records, {}, rerank=rerank)
  assert list(regdb) == ["visible_to_infrared", "infrared_to_visible"] == list(ours)[::-1]
  for direction, result in regdb.items():
    assert result.trials == ours[direction].trials and 0 < result.mean["mAP"] < 1
    assert result.conditions == {"protocol": "regdb", "direction": direction, "normalize": True}


def test_llcm_is_cross_modality_with_one_shot_and_rank_k_by_identity():
  records = records_of(identities=12)
  records = dataclasses.replace(records, camera=records.camera % 2)  # shared by both modalities
  features = np.random.default_rng(1).normal(size=(len(records), 4))
  llcm = protocols.create("llcm", trials=3).evaluate(features, records, {})
  ours = protocols.create("cross_modality", trials=3, shots=1).evaluate(features, records, {})
  for direction, result in llcm.items():
    other = ours[f"{direction}/1-shot"]
    for name in ("rank-1", "mAP", "mINP"):
      assert [trial[name] for trial in result.trials] == [trial[name] for trial in other.trials]
    assert result.mean["rank-5"] > other.mean["rank-5"]
    assert result.gallery_sizes == other.gallery_sizes


@dataclasses.dataclass(frozen=True)
class OneCamera(scoring.Scored):
  """A protocol of one's own: visible images of one camera against those of all others."""

  def settings(self, records, metadata):
    visible = np.flatnonzero(records.modality == VISIBLE)
    here = records.camera[visible] == metadata["camera"]
    return {"one": scoring.Setting({"protocol": "own"}, visible[here], [visible[~here]])}


def test_a_protocol_of_one_s_own_says_what_it_compares_and_no_more():
  records = records_of()
  features = features_of(records)
  found = OneCamera().evaluate(features, records, {"camera": 2}, normalize=False)["one"]
  query, gallery = (
    np.flatnonzero((records.modality == VISIBLE) & side)
    for side in (records.camera == 2, records.camera != 2)
  )
  distance = np.linalg.norm(features[query][:, None] - features[gallery][None], axis=-1)
  want = plain_ranking(-distance, records.identity[query], records.identity[gallery])
  assert found.mean["mAP"] == pytest.approx(want["mAP"], abs=1e-12)
  assert found.conditions == {"protocol": "own", "normalize": False}
  (comparison,) = OneCamera().comparisons(records, {"camera": 2}).values()
  assert comparison.queries.tolist() == query.tolist() and comparison.exclude is None


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("block", [1, 3, 7, 64])
def test_images_that_a_whole_block_leaves_out_change_no_number(block, unique):
  """Columns left out for queries 0 to 5, every column for query 6, single images elsewhere."""
  generator = np.random.default_rng(block)
  similarity = generator.integers(0, 5, (20, 30)).astype(np.float32)  # many ties
  query, gallery = generator.integers(0, 6, 20), generator.integers(0, 6, 30)
  exclude = generator.random((20, 30)) < 0.1
  exclude[:6, 4:20] = exclude[6] = True
  exclude[10:14] = False
  found = ranking.evaluate_ranking(
    similarity, query, gallery, exclude=exclude, unique_identities=unique, block_size=block
  )
  want = plain_ranking(similarity, query, gallery, exclude, unique)
  assert found["valid_queries"] == want["valid_queries"] < 20
  np.testing.assert_allclose(found["cmc"], want["cmc"][:20], atol=1e-12)
  assert found["mAP"] == pytest.approx(want["mAP"], abs=1e-12)
  assert found["mINP"] == pytest.approx(want["mINP"], abs=1e-12)


def test_both_directions_read_one_matrix(monkeypatch):
  records = records_of()
  calls = []

  def counted(*sides, normalize):
    calls.append([len(side) for side in sides])
    return sides[0] @ sides[1].T

  monkeypatch.setattr(scoring, "similarity_matrix", counted)
  for name in ("regdb", "llcm", "cross_modality", "sysu_mm01"):
    protocols.create(name).evaluate(features_of(records), records, {})
  assert calls == [[60, 30]] * 3 + [[30, 60]]
