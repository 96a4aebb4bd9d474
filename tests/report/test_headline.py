"""The report's first table: a row per run that fits the terminal, and the same for programs."""

import csv
import io
import json

import pytest
from test_report import plain, result, write

from vireid_jax import report


def test_a_row_per_run_in_percent_with_trials_averaged(tmp_path):
  for trial, rate in enumerate([0.2, 0.5, 0.6], start=1):
    write(tmp_path / "regdb" / f"split_{trial:02d}", plain(rate), trial=trial)
  reranked = {
    "x": result(
      "visible_to_infrared",
      [0.9],
      rerank={"k1": 20, "k2": 6, "lambda_value": 0.3, "query_only": False},
    )
  }
  write(tmp_path / "regdb" / "split_01", reranked, trial=1, name=".rerank")
  write(tmp_path / "other", plain(0.25))
  items = [str(tmp_path / name) for name in ("regdb", "other")]
  text = report.written(items, "table")
  lines = text.splitlines()
  assert "regdb (synthetic images), test" in lines[0] and "visible_to_infrared" in lines[0]
  assert lines[2].split()[:5] == ["regdb", "agw,", "after_neck", "43.3", "43.3"]
  assert "3 of 10 splits" in lines[2] and "25.0" in lines[3] and "90.0" not in text
  assert max(map(len, lines)) <= 100 and "90.00" in report.written(items, "table", everything=True)
  rows = list(csv.DictReader(io.StringIO(report.written(items, "csv"))))
  found = json.loads(report.written(items, "json"))
  assert {row["ranking"] for row in rows} == {"plain", "re-ranked"}
  assert float(rows[0]["rank_1_rate"]) == found["rows"][0]["rank_1"] and found["notes"] == []
  assert found["units"]["mAP"] == "rate in [0, 1]"


def with_chance(path, **rates):
  """Adds the rates of a random order to a record."""
  record = json.loads(path.read_text())
  record["chance"] = {
    "visible_to_infrared": {name.replace("_", "-"): r for name, r in rates.items()}
  }
  path.write_text(json.dumps(record))


def test_untrained_networks_and_a_random_order_are_below_what_was_trained(tmp_path):
  for seed, (before, after) in enumerate([(0.01, 0.3), (0.03, 0.5)]):
    folder = tmp_path / "mine" / f"seed_{seed}"
    write(folder, plain(before), step=0, seed=seed)
    with_chance(write(folder, plain(after), seed=seed), rank_1=0.02 + 0.02 * seed, mAP=0.05)
  text = report.written([str(tmp_path / "mine")], "table")
  run, untrained, chance = (line.split() for line in text.splitlines()[2:5])
  assert run[:4] == ["mine", "agw,", "after_neck", "40.0"] and run[-2:] == ["2", "seeds"]
  assert untrained[:2] == ["untrained", "2.0"]
  assert chance == ["chance", "3.0", "5.0"]
  (row,) = json.loads(report.written([str(tmp_path / "mine")], "json"))["rows"]
  assert row["untrained_mAP"] == pytest.approx(0.02) and row["mAP"] == pytest.approx(0.4)
  assert (row["chance_rank_1"], row["chance_mAP"]) == pytest.approx((0.03, 0.05))


def test_a_row_has_no_untrained_numbers_of_other_runs_conditions_or_of_itself(tmp_path):
  write(tmp_path / "two" / "seed_0", plain(0.1), step=0, seed=0)  # seed 1 was not evaluated
  for seed in (0, 1):
    write(tmp_path / "two" / f"seed_{seed}", plain(0.5), seed=seed)
  write(tmp_path / "flip", plain(0.1), step=0)
  write(tmp_path / "flip", plain(0.5, flip=True), name=".flip")
  write(tmp_path / "only", plain(0.1), step=0)
  for item in ("two", "flip", "only"):
    text = report.written([str(tmp_path / item)], "table")
    assert "untrained" not in text and "chance" not in text
    rows = json.loads(report.written([str(tmp_path / item)], "json"))["rows"]
    assert [row["untrained_mAP"] for row in rows] == [None]


def test_a_checkpoint_chosen_by_a_metric_is_compared_with_its_own_start(tmp_path):
  selection = {"metric": "visible_to_infrared/mAP", "step": 5, "value": 0.5}
  write(tmp_path / "run", plain(0.1), step=0)
  write(tmp_path / "run", plain(0.5), selection=selection)
  lines = report.written([str(tmp_path / "run")], "table").splitlines()
  assert "best by" in lines[2] and lines[3].split()[:2] == ["untrained", "10.0"]
