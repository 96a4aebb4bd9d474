"""Plans kept in a file: found again for the same program and compiler, and for no other."""

import dataclasses
import json

import pytest

from vireid_jax import config as config_lib
from vireid_jax.common.errors import UserError
from vireid_jax.speed.plan import facts, stored, targets
from vireid_jax.speed.plan.facts import Plan

PLAN = Plan("a.py", "v5e", "TPU v5e", "step", program="12", compiler="c 1", devices=1, images=64)


def test_a_plan_is_found_again_by_a_later_process(tmp_path):
  path = tmp_path / "plans.json"
  stored.StoredPlans(path).add(dataclasses.replace(PLAN, peak_bytes=7, collectives={}))
  again = stored.StoredPlans(path)
  assert again.find(PLAN) == dataclasses.replace(PLAN, peak_bytes=7, collectives={})
  assert again.find(dataclasses.replace(PLAN, program="13")) is None
  assert again.find(dataclasses.replace(PLAN, compiler="c 2")) is None
  assert again.find(dataclasses.replace(PLAN, target="v6e")) is None


def test_a_new_plan_replaces_that_of_the_old_program(tmp_path):
  path = tmp_path / "plans.json"
  plans = stored.StoredPlans(path)
  other = dataclasses.replace(PLAN, target="v5e:4x4", images=256)
  for plan in (PLAN, other, dataclasses.replace(PLAN, program="13")):
    plans.add(plan)
  found = stored.read(path)
  assert [(plan.target, plan.program) for plan in found] == [("v5e", "13"), ("v5e:4x4", "12")]
  assert json.loads(path.read_bytes())[1]["images"] == 256


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', '[{"target": "v5e"}]', "\xff"])
def test_a_file_of_something_else_is_kept_and_refused(tmp_path, text):
  path = tmp_path / "plans.json"
  path.write_bytes(text.encode("latin-1"))
  with pytest.raises(UserError, match="exists and does not hold plans; choose another path"):
    stored.StoredPlans(path)
  assert path.read_bytes() == text.encode("latin-1")


def test_a_stored_plan_is_not_compiled_again():
  config = config_lib.default_config("agw", "vireid_synthetic")
  asked = []

  def find(plan: Plan) -> Plan:
    asked.append(plan)
    return dataclasses.replace(plan, peak_bytes=5)

  for _ in range(2):
    found = facts.plan("a.py", config, targets.parse("cpu"), "rank", 395, find)
    assert (found.peak_bytes, found.compile_seconds, found.images) == (5, None, 3803)
  first, second = asked
  assert first == second and len(first.program) == 64 and first.compiler.startswith("jaxlib ")
