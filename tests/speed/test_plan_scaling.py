"""Strong scaling on paper, and that docs/scale.md shows the plans of docs/plans.json."""

import dataclasses
import pathlib

import pytest

from vireid_jax.speed.plan import scaling, stored, table
from vireid_jax.speed.plan.facts import Plan

DOCS = pathlib.Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- plans -->\n", "<!-- end of plans -->"
ONE = Plan(
  *("a.py", "v5e", "TPU v5e", "step"),
  devices=1,
  images=64,
  collectives={},
  estimated_seconds=0.03,
  estimated_collective_seconds=0.0,
)
SIXTEEN = dataclasses.replace(
  ONE,
  target="v5e:4x4",
  devices=16,
  images=256,
  collectives={
    "all-reduce": {"count": 3, "bytes": 96_000_000},
    "all-gather": {"count": 1, "bytes": 16_000_000},
  },
  estimated_seconds=0.009,
  estimated_collective_seconds=0.001,
)


def test_steps_on_several_numbers_of_a_chip_are_compared():
  other = dataclasses.replace(SIXTEEN, config="b.py")  # on one number of chips alone
  failed = dataclasses.replace(SIXTEEN, target="v5e:16x16", devices=256, collectives=None)
  embeds = dataclasses.replace(SIXTEEN, what="embed")
  text = scaling.markdown([SIXTEEN, other, embeds, failed, ONE])
  _, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
  cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
  assert cells == [
    ["a.py", "v5e", "1", "64", "0.0", "0.00", "30.0", "0.0%"],
    # A ring sends 15/16 of what it gathers, and twice that of what it sums.
    ["a.py", "v5e:4x4", "16", "16", "195.0", "1.00", "9.0", "10.0%"],
  ]
  assert scaling.sent_bytes(SIXTEEN) == 15 / 16 * (2 * 96e6 + 16e6)
  assert scaling.share(SIXTEEN) == pytest.approx(0.1)


def test_one_number_of_a_chip_is_not_a_scaling():
  assert scaling.markdown([ONE]) == "" and scaling.markdown([]) == ""
  assert table.document([ONE]) == table.markdown([ONE])
  assert table.document([ONE, SIXTEEN]).endswith(scaling.NOTE)


def test_gpus_have_no_estimate_of_the_step():
  plan = dataclasses.replace(SIXTEEN, estimated_seconds=None)
  assert scaling.share(plan) is None and scaling._row(plan)[-2:] == ["-", "-"]


@pytest.mark.skipif(not (DOCS / "plans.json").exists(), reason="no plans are committed yet")
def test_the_documentation_shows_the_committed_plans():
  text = (DOCS / "scale.md").read_text(encoding="utf-8")
  shown = text.partition(BEGIN)[2].partition(END)[0].strip()
  assert shown == table.document(stored.read(DOCS / "plans.json")).strip()
