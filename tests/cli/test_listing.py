"""`vireid list`: every name that a config or a command takes is there, with its state."""

import csv
import io
import json
import re

import pytest

from vireid_jax import list as door
from vireid_jax.cli import listing as listing_lib
from vireid_jax.config.checks import options


def listing(data_dir):
  return listing_lib.listing(listing_lib.entries(data_dir))


def sections(text):
  blocks = (block.splitlines() for block in text.split("\n\n"))
  return {
    title: dict(re.fullmatch(r"  (\S+) +(.*)", line).groups() for line in lines)
    for title, *lines in blocks
  }


def test_methods_configs_data_sets_and_protocols_are_listed(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  found = sections(listing(str(tmp_path / "data")))
  assert list(found) == ["methods:", "configs:", "data sets:", "protocols:"]
  assert {"agw", "mpanet", "mun", "tmpa"} <= set(found["methods:"])
  assert {"base", "common"}.isdisjoint(found["methods:"])
  assert found["configs:"]["mun_regdb"] == "MUN on RegDB, with the settings of `mun_sysu.py`."
  assert {"sysu_mm01", "regdb", "llcm", "own"} <= set(found["data sets:"])
  assert {"sysu_mm01", "regdb", "llcm", "cross_modality"} <= set(found["protocols:"])
  assert all(text for lines in found.values() for text in lines.values())


def test_a_data_set_is_prepared_or_names_the_command_that_prepares_it(tmp_path):
  (tmp_path / "regdb" / "1.0.0").mkdir(parents=True)
  (tmp_path / "regdb" / "1.0.0" / "dataset_info.json").touch()
  (tmp_path / "llcm" / "1.0.0").mkdir(parents=True)  # incomplete
  found = sections(listing(str(tmp_path)))["data sets:"]
  assert found["regdb"] == f"prepared in {tmp_path}/regdb/1.0.0"
  command = f"vireid prepare llcm --manual_dir DIR --data_dir {tmp_path}"
  assert found["llcm"] == f"not prepared; {command}"
  assert found["vireid_synthetic/quick"] == "not prepared; rendered when first used"


def test_configs_of_the_user_are_listed_and_not_run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").mkdir()
  for name, content in {
    "mine": '"""Mine\x1b[2J, first.\n\nMore."""\nraise SystemExit',
    "none": "x = 1",
    "broken": "def (",
    "long": '"""One sentence\nof two lines. Another."""',
    "b\x1b[2Jd": '"""Escaped."""',
  }.items():
    (tmp_path / "configs" / f"{name}.py").write_text(content)
  text = listing(str(tmp_path))
  assert "\x1b" not in text and "Escaped" not in text  # a name that --config does not take
  assert re.search(r"^  mine +Mine\\x1b\[2J, first\.$", text, re.MULTILINE)
  assert re.search(r"^  broken +cannot be read: SyntaxError$", text, re.MULTILINE)
  assert re.search(r"^  long +One sentence of two lines\.$", text, re.MULTILINE)
  assert re.search(r"^  none *$", text, re.MULTILINE)


@pytest.mark.parametrize("words, code", [([], 0), (["--data-dir", ""], 1), (["--dat=x", "y"], 1)])
def test_the_command_ends_with_its_code(words, code, capsys, tmp_path, monkeypatch):
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
  assert door.main(words) == code
  printed = capsys.readouterr()
  assert printed.out.startswith("methods:\n") == (code == 0)
  assert printed.err.startswith("error: ") == (code == 1)


def printed(capsys, *words):
  assert door.main(words) == 0
  return capsys.readouterr().out


def test_programs_get_the_same_names_and_the_folder_of_what_is_prepared(tmp_path, capsys):
  (tmp_path / "regdb" / "1.0.0").mkdir(parents=True)
  (tmp_path / "regdb" / "1.0.0" / "dataset_info.json").touch()
  given = ("--data_dir", str(tmp_path))
  found = json.loads(printed(capsys, *given, "--format", "json"))
  assert found["command"] == "list" and found["units"] == {}
  rows = {(row["kind"], row["name"]): row for row in found["rows"]}
  assert rows["data set", "regdb"]["folder"] == f"{tmp_path}/regdb/1.0.0"
  assert rows["data set", "llcm"]["folder"] == rows["method", "agw"]["folder"] == ""
  table = sections(printed(capsys, *given))
  assert {(f"{kind}s:", name): row["description"] for (kind, name), row in rows.items()} == {
    (title, name): text for title, lines in table.items() for name, text in lines.items()
  }
  lines = csv.DictReader(io.StringIO(printed(capsys, *given, "--format", "csv")))
  assert list(lines) == found["rows"]


def test_programs_get_every_config_key_with_its_default(capsys):
  rows = json.loads(printed(capsys, "config", "--format", "json"))["rows"]
  keys = {(row["owner"], row["key"]): row for row in rows}
  assert len(keys) == len(rows)
  assert {key for owner, key in keys if not owner} == set(options())
  assert keys["", "data.resize"]["default"] == "'lanczos'"
  assert keys["", "data.resize"]["allowed"] == "'lanczos', 'bilinear'"
  assert keys["method agw", "method.metric.weight"]["description"]
  assert keys["operation flip", "probability"]["default"] == "0.5"
  table = printed(capsys, "config")
  assert all(f"| `{key}` |" in table for owner, key in keys if not owner.startswith("operation"))
