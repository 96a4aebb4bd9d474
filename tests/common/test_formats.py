"""Tables for programs: units in every header, values that a parser reads back, rates below one."""

import csv
import io
import json
import math

import pytest

from vireid_jax.common import formats
from vireid_jax.common.formats import Column

COLUMNS = (
  Column("run"),
  Column("trials"),
  Column("mAP", "rate"),
  Column("best_seconds", "seconds"),
)
ROWS = [
  {"run": 'a,"b"', "trials": 10, "mAP": 0.125, "best_seconds": 1.5, "unused": 3},
  {"run": "\x1b[31m人\n", "trials": 1, "mAP": None, "best_seconds": math.inf},
]


def test_csv_names_units_in_its_header_and_keeps_every_digit():
  text = formats.csv(COLUMNS, ROWS)
  head, *rows = csv.reader(io.StringIO(text))
  assert head == ["run", "trials", "mAP_rate", "best_seconds"]
  assert rows == [['a,"b"', "10", "0.125", "1.5"], ["\\x1b[31m人\\n", "1", "", ""]]
  assert not text.endswith("\n")  # print adds it


def test_json_explains_units_and_holds_nothing_that_parsers_refuse():
  text = formats.json("report", COLUMNS, ROWS, notes=["x"], worst=[math.nan])
  found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
  assert list(found) == ["format", "command", "units", "notes", "worst", "rows"]
  assert found["units"] == {"mAP": "rate in [0, 1]", "best_seconds": "seconds"}
  assert found["rows"][0] == {"run": 'a,"b"', "trials": 10, "mAP": 0.125, "best_seconds": 1.5}
  assert found["rows"][1] == {
    "run": "\x1b[31m人\n",
    "trials": 1,
    "mAP": None,
    "best_seconds": None,
  }
  assert found["worst"] == [None] and "\x1b" not in text


def test_the_format_decides_between_both():
  assert formats.written("csv", "cost", COLUMNS, []) == "run,trials,mAP_rate,best_seconds"
  assert json.loads(formats.written("json", "cost", COLUMNS, []))["command"] == "cost"


def test_every_unit_of_a_column_has_an_explanation():
  with pytest.raises(KeyError):
    formats.units([Column("x", "parsecs")])
