"""--format: what programs read is alone on standard output."""

import argparse
import json

import pytest

from vireid_jax import benchmark, cost
from vireid_jax.cli import output
from vireid_jax.common import formats
from vireid_jax.common.errors import UserError
from vireid_jax.speed import device

SMALL = "configs/agw_sysu.py:base,smoke"


@pytest.mark.parametrize("form", formats.PAPER_FORMATS)
def test_only_a_table_shares_standard_output(form, capsys):
  with output.reserved(form):
    print("progress")
  print("result")
  captured = capsys.readouterr()
  assert captured.out == ("progress\nresult\n" if form == "table" else "result\n")
  assert captured.err == ("" if form == "table" else "progress\n")


def test_formats_for_papers_are_offered_only_where_asked():
  for choices in (formats.FORMATS, formats.PAPER_FORMATS):
    parser = argparse.ArgumentParser(exit_on_error=False)
    output.add_format(parser, choices)
    assert parser.parse_args([]).format == "table"
    assert parser.parse_args(["--format", "csv"]).format == "csv"
    if "latex" not in choices:
      with pytest.raises(argparse.ArgumentError, match="latex"):
        parser.parse_args(["--format", "latex"])


def test_cost_counts_alike_in_every_format(capsys):
  assert cost.main([SMALL, "--classes", "6", "--format", "json"]) == 0
  found = json.loads(capsys.readouterr().out)
  (row,) = found["rows"]
  assert found["units"] == {"flops_per_image": "floating-point operations"}
  assert row["config"] == SMALL and row["parameters_training"] > row["parameters_test"] > 1e4
  cost.main([SMALL, "--classes", "6", "--format", "csv"])
  head, line = capsys.readouterr().out.splitlines()
  assert head == "config,parameters_training,parameters_test,flops_per_image"
  values = [SMALL, *(row[name] for name in head.split(",")[1:])]
  assert line == ",".join([f'"{SMALL}"', *map(str, values[1:])])


def test_a_benchmark_in_json_has_its_rows_units_and_measurements(monkeypatch, capsys):
  monkeypatch.setattr(device, "PRODUCT_SIZE", {"cpu": 64})
  monkeypatch.setattr(device, "COPY_LENGTH", {"cpu": 1024})
  flags = ["--identities", "6", "--repeats", "1", "--batch", "3", "--dtype", "float32"]
  numbers = benchmark.main(["embed", SMALL, *flags, "--format", "json"])
  found = json.loads(capsys.readouterr().out)
  (row,) = found["rows"]
  side = numbers["sides"][SMALL]
  assert found["command"] == "benchmark embed" and found["measurements"] == numbers
  assert row["side"] == SMALL and row["images"] == 3
  assert row["images_per_second"] == side["images_per_second"]
  assert row["share_of_peak"] > 0 and found["units"]["share_of_peak"] == "rate in [0, 1]"
  assert found["units"]["median_seconds"] == "seconds" and numbers["units"]["bytes"] == "bytes"


def test_an_unknown_format_names_the_allowed_ones():
  with pytest.raises(UserError, match=r"table.*csv.*json"):
    benchmark.main(["ranking", "--format", "xml"])
