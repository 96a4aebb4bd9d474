"""What a protocol says it compares is what it compares."""

import numpy as np
import pytest

from vireid_jax.common.records import Records
from vireid_jax.evaluators import protocols
from vireid_jax.evaluators.protocols.comparison import Comparison


def records_of(identities=5, cameras=6, images=3):
  """Infrared images in cameras 3 and 6 of SYSU-MM01, visible ones elsewhere."""
  rows = [
    (identity, camera, int(camera in (3, 6)), f"cam{camera}/{identity:04d}/{image:04d}.jpg")
    for identity in range(1, identities + 1)
    for camera in range(1, cameras + 1)
    for image in range(1, images + 1)
  ]
  identity, camera, modality, name = zip(*rows, strict=True)
  return Records(identity, camera, modality, name)


@pytest.mark.parametrize(
  "protocol",
  [
    protocols.create("sysu_mm01", galleries=("random_choice",), shots=(1, 2), trials=1),
    protocols.create("regdb"),
    protocols.create("llcm", trials=1),
    protocols.create("mixed", trials=1, same_place=((3, 2), (2, 3))),
  ],
  ids=lambda protocol: type(protocol).__module__.rsplit(".", 1)[1],
)
def test_scoring_the_comparisons_gives_the_protocol_s_numbers(protocol):
  records = records_of()
  features = np.random.default_rng(0).normal(size=(len(records), 4)).astype(np.float32)
  features[:, 0] += records.identity  # better than chance, worse than perfect
  expected = protocol.evaluate(features, records, {})
  comparisons = protocol.comparisons(records, {})
  assert list(comparisons) == list(expected)
  for name, comparison in comparisons.items():
    summary = comparison.scores(comparison.similarity(features), records).summary()
    (trial,) = expected[name].trials
    assert 0 < trial["mAP"] < 1
    assert summary["mAP"] == pytest.approx(trial["mAP"], abs=1e-12)
    assert summary["mINP"] == pytest.approx(trial["mINP"], abs=1e-12)
    assert summary["cmc"][[0, 4, 9]].tolist() == [trial[f"rank-{rank}"] for rank in (1, 5, 10)]


def test_settings_that_the_data_do_not_allow_are_absent():
  protocol = protocols.create("sysu_mm01", modes=("all",), shots=(1,))
  assert list(protocol.comparisons(records_of(), {})) == ["all/1-shot/random_choice"]


def test_ranked_leaves_out_and_keeps_the_order_of_equals():
  exclude = np.array([[False, True, False, False]])
  comparison = Comparison(np.array([0]), np.arange(1, 5), exclude, False)
  similarity = np.array([[0.5, 0.9, 0.7, 0.5]])
  assert comparison.ranked(similarity, 0).tolist() == [2, 0, 3]
