"""Thresholds from a run's record, for a search."""

import json

import pytest

from vireid_jax.report import records, threshold_hint

TAR = {"0.01": {"tar": 0.8, "far": 0.009, "threshold": 0.4}}


@pytest.fixture
def find(tmp_path, monkeypatch):
  """Returns what is found beside a record with these settings."""

  def call(
    pair="visible-infrared", feature="after_neck", modalities=("infrared", "visible"), **said
  ):
    stored = {
      "config": {"eval": {"normalize": True, "flip": False, **said}},
      "mismatch": said.get("mismatch", []),
      "verification": {feature: {pair: {"tar": TAR}}},
    }
    path = tmp_path / "eval" / "step_0000007.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(stored))
    monkeypatch.setattr(records, "read", lambda path: records.Run(path, stored))
    return threshold_hint.find(tmp_path, step=7, feature="after_neck", modalities=modalities)

  return call


def test_operating_points_of_the_pair_in_either_order(find, tmp_path):
  expected = {
    "false_accept_rate": 0.009,
    "true_accept_rate": 0.8,
    "min_similarity": 0.4,
    "record": str(tmp_path / "eval" / "step_0000007.json"),
  }
  assert find() == find(modalities=("visible", "infrared")) == [expected]
  assert find("infrared-infrared", modalities=("infrared", "infrared")) == [expected]


def test_other_features_and_pairs_suggest_nothing(find, tmp_path):
  assert find(modalities=("visible", "visible")) == []
  assert find(feature="before_neck") == [] and find(flip=True) == [] and find(normalize=False) == []
  assert find(mismatch=["data.image_size: (1, 2) -> (2, 4)"]) == []
  assert (
    threshold_hint.find(tmp_path / "none", step=7, feature="x", modalities=("visible", "visible"))
    == []
  )
