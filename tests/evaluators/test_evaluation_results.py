"""Tests of the result type, its table, and the look-up of protocols."""

import json

import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators import results
from vireid_jax.evaluators.protocols import create, names


def summary(rate, valid=7):
  return {"cmc": [rate] * 20, "mAP": rate / 2, "mINP": rate / 4, "valid_queries": valid}


def result(*rates):
  return results.from_summaries(
    [summary(rate) for rate in rates],
    queries=9,
    gallery_sizes=[30] * len(rates),
    conditions={"normalize": True},
  )


def test_mean_and_spread_over_trials():
  found = result(0.2, 0.4)
  assert found.mean["rank-1"] == pytest.approx(0.3)
  assert found.std["rank-1"] == pytest.approx(0.1)
  assert found.mean["mAP"] == pytest.approx(0.15)
  assert found.std["mINP"] == pytest.approx(0.025)


def test_json_round_trip():
  for found in (result(0.2, 0.4), results.SettingResult(not_run="no file", queries=3)):
    stored = json.loads(json.dumps(found.to_json()))
    assert results.SettingResult.from_json(stored) == found
  assert result(0.25).to_json()["mean"]["rank-20"] == 0.25


def test_setting_without_a_match_is_marked():
  found = results.from_summaries([summary(0, valid=0)], queries=9, gallery_sizes=[4], conditions={})
  assert found.not_run == "none of the 9 queries has a match in the gallery"
  assert found.mean == {}


def test_table_is_in_percent_with_spread():
  table = results.format_table(
    {"all": result(0.2, 0.4), "official": results.SettingResult(not_run="no file")}, "Synthetic"
  )
  lines = table.splitlines()
  assert lines[0] == "Synthetic"
  assert lines[1].split()[:3] == ["setting", "rank-1", "rank-5"]
  assert "30.00 ± 10.00" in lines[2]
  assert lines[2].split()[-3:] == ["2", "7", "30"]
  assert lines[3] == "official: not run: no file"


def test_table_of_one_trial_has_no_spread():
  table = results.format_table({"visible_to_infrared": result(0.5)}, "RegDB")
  assert "±" not in table
  assert "50.00" in table


def test_protocols_are_found_by_name():
  assert {"llcm", "regdb", "sysu_mm01"} <= set(names())


@pytest.mark.parametrize(
  ("name", "arguments", "message"),
  [
    ("sysu", {}, "unknown evaluation protocol 'sysu'; did you mean 'sysu_mm01'"),
    ("ranking", {}, "unknown evaluation protocol 'ranking'"),
    ("sysu_mm01", {"mode": "all"}, "no argument 'mode'; did you mean 'modes'"),
    ("sysu_mm01", {"modes": ("all", "outdoor")}, "modes holds 'outdoor'"),
    ("sysu_mm01", {"galleries": "oficial"}, "did you mean 'official'"),
    ("sysu_mm01", {"galleries": ()}, "at least one value"),
    ("sysu_mm01", {"shots": (1, 1)}, "each once"),
    ("sysu_mm01", {"shots": 0}, "shots holds 0"),
    ("sysu_mm01", {"trials": 2.5}, "trials holds 2.5"),
    ("llcm", {"trials": 0}, "trials holds 0"),
    ("regdb", {"directions": "both"}, "directions holds 'both'"),
  ],
)
def test_wrong_names_and_values(name, arguments, message):
  with pytest.raises(UserError, match=message):
    create(name, **arguments)


def test_lists_become_tuples():
  protocol = create("sysu_mm01", modes=["indoor"], shots=[10])
  assert (protocol.modes, protocol.shots) == (("indoor",), (10,))
