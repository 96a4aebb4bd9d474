"""Tests of the result type, its table, and the look-up of protocols."""

import dataclasses
import json

import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators import headline, results
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
  found = {"all": result(0.2, 0.4), "official": results.SettingResult(not_run="no file")}
  lines = results.format_table(found, "Synthetic", verbose=True).splitlines()
  assert lines[0] == "Synthetic"
  assert lines[1].split()[:3] == ["setting", "rank-1", "rank-5"]
  assert "30.00 ± 10.00" in lines[2]
  assert lines[2].split()[-3:] == ["2", "7", "30"]
  assert lines[3] == "official: not run: no file"


def test_brief_table_fits_its_width():
  name = "all/10-shot/random_choice/before_neck/rerank"
  missing = {f"official/{i}": results.SettingResult(not_run="no file of draws") for i in range(8)}
  found = {name: result(0.2, 0.4), **missing}
  lines = results.format_table(found, "Synthetic").splitlines()
  assert lines[1].split() == ["setting", "rank-1", "rank-10", "mAP", "mINP"]
  assert lines[2] == f"{name}  30.0 ± 10.0  30.0 ± 10.0  15.0 ± 5.0  7.5 ± 2.5"
  assert lines[3] == "official/0: not run: no file of draws (and 7 more settings)"
  assert lines[4].startswith("percent; mean ± standard deviation over trials")
  narrow = results.format_table(found, "Synthetic", width=79).splitlines()
  assert narrow[2].split() == [name, "30.0", "30.0", "15.0", "7.5"]
  assert max(map(len, lines)) <= 100 and max(map(len, narrow)) <= 79


def test_headline_says_what_is_quoted():
  conditions = {"mode": "all", "shots": 1, "gallery": "random_choice"}
  first = dataclasses.replace(result(0.2, 0.592), conditions=conditions)
  found = {"official": results.SettingResult(not_run="no file"), "all": first, "b": result(0.9)}
  assert headline.headline(found, {"all": {"rank-1": 0.018, "mAP": 0.1}}) == (
    "rank-1 39.6 % (untrained 1.8), mAP 19.8 %, all-search single-shot, 2 galleries"
  )
  directed = {"direction": "visible_to_infrared", "shots": 5, "gallery": "official"}
  told = dataclasses.replace(result(0.5), conditions=directed)
  assert headline.headline({"a": told}) == (
    "rank-1 50.0 %, mAP 25.0 %, 5-shot visible to infrared official draw, 1 gallery"
  )
  plain = dataclasses.replace(result(0.5), conditions={})
  assert headline.headline({"mine": plain}).endswith(", mine, 1 gallery")
  assert headline.headline({"official": found["official"]}) == ""


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
