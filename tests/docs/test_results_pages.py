"""The leaderboard repeats the tables below it; rows of the model zoo are complete."""

import re

import config_files
import guides
import pytest

PAGES = {
  name: (guides.ROOT / "docs" / name).read_text("utf-8") for name in ("results.md", "model_zoo.md")
}


def table(text):
  """Returns the rows of a page's first table, without its two lines of header."""
  lines = re.search(r"(?:^\|.*\n)+", text, re.M)[0].splitlines()[2:]
  return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def section(title):
  return re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGES["results.md"], re.M | re.S)[1]


@pytest.mark.parametrize("name", ["MPANet", "MUN", "TMPA"])
def test_the_leaderboard_has_the_numbers_of_the_ablations(name):
  row = {cells[0]: cells[1:] for cells in table(section("Leaderboard"))}[
    f"`{name.lower()}_synthetic.py`"
  ]
  ablation = {cells[0]: cells[2:] for cells in table(section(name))}
  rank_1, _, *others, _ = ablation["`full`"]
  assert row == [row[0], rank_1, *others, ablation["`base`"][0]]
  assert f"\n{row[0]} steps of 64 images" in section(name)


@pytest.mark.parametrize(
  "name, base", [("agw", "base"), ("caj", "base"), ("dns", "strong"), ("deen", "base")]
)
def test_the_leaderboard_has_the_numbers_of_the_common_frame(name, base):
  row = {cells[0]: cells[1:] for cells in table(section("Leaderboard"))}[f"`{name}_synthetic.py`"]
  rows = {(cells[0], cells[1]): cells[3:] for cells in table(section("CAJ, DNS and DEEN"))}
  rank_1, _, *others, _ = rows[f"`{name}`", "`full`"]
  assert row == ["350", rank_1, *others, rows[f"`{name}`", f"`{base}`"][0]]


def test_rows_of_the_model_zoo_are_complete():
  rows = table(PAGES["model_zoo.md"])
  assert bool(rows) != ("**There are none for real data yet.**" in PAGES["model_zoo.md"])
  for _, config, setting, rank_1, mean_ap, record, digest, place in rows:
    assert config.strip("`").partition(".py")[0] in config_files.NAMES
    assert setting and float(rank_1.split()[0]) and float(mean_ap.split()[0])
    assert re.search(r"\.json\b", record)
    assert re.fullmatch(r"`[0-9a-f]{64}`", digest) and place.startswith("`hf://")
