"""Committed plans are made again: they compile, fit, send and compute what docs/plans.json says.

The two that compiled fastest run by default, and all with VIREID_PLANS=all (hours).
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from vireid_jax import config as config_lib
from vireid_jax.speed.plan import command, programs, stored, targets

ROOT = pathlib.Path(__file__).parents[2]
FILE = ROOT / "docs" / "plans.json"
DEFAULT = 2


def committed():
  """Returns the committed steps whose compiler is installed, the fastest to compile first."""
  plans = stored.read(FILE) if FILE.exists() else []
  steps = [plan for plan in plans if plan.what == "step" and not plan.error and _compiles(plan)]
  steps.sort(key=lambda plan: (plan.compile_seconds, plan.config, plan.target))
  return steps if os.environ.get("VIREID_PLANS") == "all" else steps[:DEFAULT]


def _compiles(plan):
  package, _ = targets.COMPILERS.get(targets.parse(plan.target).platform, ("jax", ""))
  return importlib.util.find_spec(package) is not None


PLANS = committed()


@pytest.mark.slow
@pytest.mark.skipif(not PLANS, reason="no plan is committed whose compiler is installed")
@pytest.mark.parametrize("plan", PLANS, ids=[f"{p.config} {p.target}" for p in PLANS])
def test_a_committed_plan_holds(plan, tmp_path):
  out = tmp_path / "plans.json"
  arguments = [plan.config, "--target", plan.target, "--json", str(out)]
  subprocess.run([sys.executable, "-m", "vireid_jax.plan", *arguments], check=True, cwd=ROOT)
  (found,) = json.loads(out.read_text())
  assert found["error"] == "" and found["fits"] and found["images"] == plan.images
  assert found["unwanted_collectives"] == [] and found["host_transfers"] == 0
  assert found["float32_convolutions"] == 0
  assert found["donated_bytes"] <= found["reused_bytes"]
  assert found["flops_per_image"] == pytest.approx(counted(plan.config), rel=0.02)
  if plan.estimated_cycles:
    assert found["estimated_cycles"] <= 1.03 * plan.estimated_cycles


def counted(name):
  """Counts the operations of a config's step per image on a CPU."""
  config = config_lib.load(str(ROOT / name), [])
  images = 2 * config.sampler.num_identities * config.sampler.num_instances
  return programs.flops("step", config, command.CLASSES) / images
