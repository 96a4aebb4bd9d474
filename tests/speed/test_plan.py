"""Plans: targets, what is read from a compiled program, and whole plans of a toy method."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.models.numerics import Numerics
from vireid_jax.runtime import platform
from vireid_jax.speed.plan import command, listing, table, targets
from vireid_jax.speed.plan.facts import Plan

TESTS = pathlib.Path(__file__).parents[1]
TOY = """
from ml_collections import ConfigDict
from vireid_jax import config as config_lib

def get_config(arg=""):
  config = config_lib.default_config("agw", "vireid_synthetic")
  config.method = ConfigDict({"name": "toys.linear", "feature": "after_neck", "width": 8})
  config.data.image_size = (24, 16)
  config.augment.visible = config.augment.infrared = ("normalize()",)
  return config
"""


@pytest.mark.parametrize(
  "name, platform_name, devices, memory",
  [
    ("v5e", "tpu", 1, 16e9),
    ("v5e:1", "tpu", 1, 16e9),
    ("v5e:4x4", "tpu", 16, 16e9),
    ("v5e:16x16", "tpu", 256, 16e9),
    ("v5p:2x2x1", "tpu", 4, 95e9),
    ("v6e:2x2", "tpu", 4, 32e9),
    ("v4:2x2x1", "tpu", 8, 16e9),  # two cores a chip, which share its 32 GB
    ("h100", "gpu", 1, 80e9),
    ("h100:8", "gpu", 8, 80e9),
    ("a100:2", "gpu", 2, 80e9),
    ("h200:8", "gpu", 8, 141e9),
    ("cpu:4", "cpu", 4, None),
  ],
)
def test_targets(name, platform_name, devices, memory):
  target = targets.parse(name)
  assert (target.name, target.platform, target.devices) == (name, platform_name, devices)
  assert target.memory == memory
  if platform_name == "gpu":
    assert target.kind.split()[1] in target.description


@pytest.mark.parametrize(
  "name, message",
  [
    ("v7", "unknown target 'v7'; did you mean 'v4'?"),
    ("", "unknown target ''; allowed: "),
    ("H100", "unknown target 'H100'; did you mean 'h100'"),
    ("v5e:4", "'4' is not the shape of a slice; write for example v5e:4x4"),
    ("v5p:4y4", "'4y4' is not the shape of a slice; write for example v5p:2x2x1"),
    ("v5e:0x4", "'0x4' is not the shape of a slice"),
    ("h100:0", "'0' is not a number of devices from 1 to 65,536; write for example h100:8"),
    ("h100:2x2", "'2x2' is not a number of devices"),
    ("cpu:-1", "'-1' is not a number of devices"),
    ("cpu:99999999999", "is not a number of devices"),
  ],
)
def test_malformed_targets(name, message):
  with pytest.raises(UserError) as error:
    targets.parse(name)
  assert message in str(error.value)


@pytest.mark.parametrize("name, extra", [("v5e", "tpu"), ("h100:8", "cuda")])
def test_a_missing_compiler_names_its_extra(name, extra, monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
  with pytest.raises(UserError, match=rf"pip install 'vireid_jax\[{extra}\]'"):
    targets.prepare([targets.parse(name)])


PROGRAM = """
HloModule step
%sum (a: f32[], b: f32[]) -> f32[] {
  ROOT %add = f32[] add(%a, %b)
}
ENTRY %main (p: f32[8,4]) -> (f32[8,4]) {
  %p = f32[8,4]{1,0:T(8,128)} parameter(0)
  %all-reduce.1 = (f32[128]{0}, bf16[8,16]{1,0}) all-reduce(%p, %q), to_apply=%sum
  %all-reduce-start.2 = f32[10]{0} all-reduce-start(%p), to_apply=%sum
  %all-reduce-done.2 = f32[10]{0} all-reduce-done(%all-reduce-start.2)
  %gather = (f32[2,4]{1,0}, f32[8,4]{1,0}) all-gather-start(%p), dimensions={0}
  %labels = s32[8]{0} all-gather(%p), channel_id=7, dimensions={0}
  %begun = s32[8]{0} all-gather(%p), channel_id=7, dimensions={0}
  %other = s32[8]{0} all-gather(%p), channel_id=8, dimensions={0}
  %swap = pred[3]{0} collective-permute(%p), source_target_pairs={{0,1}}
  %fusion = f32[8]{0} fusion(%p), backend_config={"estimated_cycles":"1200"}
  %reduce = f32[]{:T(128)} reduce(%p), backend_config={"estimated_cycles":"34"}
  %token = token[] infeed(%p)
  ROOT %out = (f32[8,4]{1,0}) tuple(%p)
}
"""


def test_collectives_are_counted_with_the_bytes_of_their_results():
  assert listing.collectives(PROGRAM) == {
    "all-reduce": {"count": 2, "bytes": 4 * 128 + 2 * 8 * 16 + 4 * 10},
    "all-gather": {"count": 3, "bytes": 4 * 8 * 4 + 2 * 4 * 8},  # one of channel 7
    "collective-permute": {"count": 1, "bytes": 3},
  }


def test_cycles_and_host_transfers():
  assert listing.estimated_cycles(PROGRAM) == 1234
  assert listing.host_transfers(PROGRAM) == 1
  assert listing.estimated_cycles("ROOT %a = f32[2]{0} add(%b, %c)") is None


def test_a_ring_sends_what_it_must():
  assert listing.sent("all-reduce", 80, 4) == 2 * 3 / 4 * 80
  assert listing.sent("all-gather", 80, 4) == 3 / 4 * 80
  assert listing.sent("reduce-scatter", 20, 4) == 3 * 20
  assert listing.sent("all-reduce", 80, 1) == 0


def test_the_platform_of_a_plan_decides_the_forms_of_a_network():
  assert platform.name() == "cpu"
  assert Numerics().compute_dtype == jnp.float32 and Numerics().use_dot(1)
  with platform.compiling_for("tpu"):
    assert not platform.is_cpu()
    assert Numerics().compute_dtype == jnp.bfloat16
    assert not Numerics().use_dot(1) and not Numerics().slice_windows
  assert platform.is_cpu()
  with pytest.raises(ValueError, match="unknown platform 'cuda'"), platform.compiling_for("cuda"):
    pass


def test_functions_traced_before_are_traced_again():
  @jax.jit
  def dtype(x):
    return x.astype(Numerics().compute_dtype)

  assert dtype(jnp.ones(1)).dtype == jnp.float32
  with platform.compiling_for("gpu"):
    assert dtype(jnp.ones(1)).dtype == jnp.bfloat16
  assert dtype(jnp.ones(1)).dtype == jnp.float32


def test_table():
  known = {"config": "a.py", "chip": "TPU v5e", "what": "step"}
  good = Plan(
    **known,
    target="v5e:4x4",
    devices=16,
    hosts=4,
    images=256,
    scaled_from=64,
    memory_limit_bytes=16e9,
    peak_bytes=2_500_000_000,
    fits=True,
    flops=1e12,
    bytes=2e9,
    collectives={"all-gather": {"count": 3, "bytes": 6_000_000}},
    estimated_cycles=15_000_000,
    estimated_seconds=0.01,
    estimated_images_per_second=1600.0,
    share_of_flop_floor=0.5,
    estimated_collective_seconds=0.002,
    compile_seconds=61.4,
  )
  bad = Plan(**known, target="v5e", error="RESOURCE_EXHAUSTED: too large", fits=False)
  _, _, first, second, *rest = table.markdown([good, bad]).splitlines()
  cells = [cell.strip() for cell in first.strip("|").split("|")]
  assert cells == [
    *("a.py", "v5e:4x4", "16", "2.50 of 16", "yes", "62.5", "125", "3 all-gather 6.0 MB"),
    *("15.00", "10.0", "1,600", "50%", "2.00", "61"),
  ]
  assert [cell.strip() for cell in second.strip("|").split("|")][2:5] == ["-", "-", "no"]
  assert "a.py on v5e does not compile: RESOURCE_EXHAUSTED: too large" in rest
  assert any("its batch of 64 images does not split over 16 devices" in line for line in rest)


@pytest.fixture
def toy(tmp_path):
  path = tmp_path / "toy.py"
  path.write_text(TOY)
  return path


def plan(path, *words):
  """Runs `vireid plan` in a process of its own; returns (plans, standard output, errors)."""
  out = path.parent / "plans.json"
  arguments = [sys.executable, "-m", "vireid_jax.plan", str(path), "--json", str(out), *words]
  paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
  environment = {**os.environ, "PYTHONPATH": paths}
  done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
  assert done.returncode == 0, done.stderr
  return json.loads(out.read_text()), done.stdout, done.stderr


def test_a_step_on_four_devices(toy):
  (found,), output, errors = plan(toy, "--target", "cpu:4")
  pixels = 24 * 16 * 3
  assert (found["devices"], found["hosts"], found["images"]) == (4, 1, 64)
  assert found["scaled_from"] is None and found["error"] == ""
  assert found["collectives"]["all-reduce"]["count"] > 0 and found["host_transfers"] == 0
  # Two projections of 864 x 8 in float32, and Adam's or SGD's copies of them, lie on each device.
  assert found["argument_bytes"] > 2 * 4 * 2 * pixels * 8
  assert found["donated_bytes"] == found["reused_bytes"] < found["argument_bytes"]
  # The toy concatenates split batches, and so moves rows between devices.
  assert any(each.startswith("all-to-all") for each in found["unwanted_collectives"])
  assert "sends more than sums, labels and features" in output
  # Forward and for the gradient of the projection: two products of pixels x 8.
  assert found["flops_per_image"] > 2 * 2 * pixels * 8
  assert found["fits"] is None and found["estimated_cycles"] is None
  assert "| cpu:4 " in output and "compiling" in errors and "(1 of 1)" in errors


@pytest.mark.slow
@pytest.mark.parametrize("what", ["embed", "export", "rank", "rerank"])
def test_other_programs_compile(toy, what):
  (found,), _, _ = plan(toy, "--target", "cpu", "--what", what)
  assert found["error"] == "" and found["what"] == what
  assert found["images"] == {"embed": 128, "export": 128, "rank": 3803, "rerank": 3803}[what]


@pytest.mark.slow
def test_a_batch_is_enlarged_for_many_devices(toy):
  (found,), output, _ = plan(toy, "--target", "cpu:12", "--config.sampler.num_identities=5")
  assert (found["scaled_from"], found["images"]) == (40, 192)
  assert "its batch of 40 images does not split over 12 devices" in output


def test_largest_batch_needs_a_known_memory_and_a_step(toy):
  parser = command.argparse.ArgumentParser()
  command.add_arguments(parser)
  options = parser.parse_args(["--target", "v5e", "--largest_batch", "--what", "embed"])
  with pytest.raises(UserError, match="--largest_batch is about training steps"):
    command.run(options)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu")
def test_a_toy_on_tpus(toy):
  one, slice_of_16, unknown = plan(
    toy, *("--target", "v5e", "--target", "v5e:4x4", "--target", "v6e")
  )[0]
  assert one["fits"] and slice_of_16["fits"] and unknown["fits"]
  assert (slice_of_16["devices"], slice_of_16["hosts"]) == (16, 4)
  assert one["collectives"] == {} and slice_of_16["collectives"]["all-reduce"]["count"] > 0
  assert one["estimated_cycles"] > 1000 and one["estimated_seconds"] > 0
