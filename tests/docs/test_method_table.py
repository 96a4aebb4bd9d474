"""The table of all methods: its sizes are measured, its results are those of results.md."""

import pathlib
import re

import pytest
from markdown_tables import cells

from vireid_jax import methods
from vireid_jax.speed import cost as cost_lib

ROOT = pathlib.Path(__file__).parents[2]
CLASSES = 395


def section(page, title):
  text = (ROOT / "docs" / page).read_text(encoding="utf-8")
  return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]


_, *ROWS = cells(section("methods.md", "What each method costs, and what its authors claim"))
BY_CONFIG = {row[0].strip("`"): row for row in ROWS}


def test_every_method_has_a_row():
  named = {re.match(r"[a-z]+", config)[0].removesuffix("plus") for config in BY_CONFIG}
  assert named == set(methods.names())


def test_claims_have_a_source_and_transductive_ones_are_marked():
  for config, row in BY_CONFIG.items():
    claim = row[7]
    assert "none" in claim or re.search(r"\d.*\((paper|README|published logs)", claim), config
  for name in ("mcja", "saai"):
    if name in methods.names():
      assert BY_CONFIG[f"{name}_sysu.py"][7].startswith("**transductive")


def test_results_are_those_of_the_results_page():
  text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
  found = 0
  for config, row in BY_CONFIG.items():
    if row[8] == "not run":
      continue
    name, _, variant = config.partition(":")
    rank, mean_precision = row[8].split(" / ")
    method = name.removesuffix("_sysu.py")
    lines = [line for line in text.splitlines() if f"| {rank} ± " in line]
    wanted = rf"`{method}(_synthetic\.py)?`|`{variant or 'full'}`"
    assert any(f"| {mean_precision} ± " in line and re.search(wanted, line) for line in lines), (
      config
    )
    found += 1
  assert found >= 10


@pytest.mark.slow
@pytest.mark.parametrize("config", BY_CONFIG)
def test_parameters_and_operations_are_measured(config):
  cost = cost_lib.cost_of(f"configs/{config}", CLASSES)
  row = BY_CONFIG[config]
  assert row[3] == f"{cost.trained / 1e6:.2f} / {cost.used / 1e6:.2f}"
  assert row[4] == f"{cost.operations / 1e9:.2f}"
