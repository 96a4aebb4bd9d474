"""The report's first table: a row per run that fits the terminal, and the same for programs."""

import csv
import io
import json

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
