"""What a compiled step should not hold: found in a listing, and said below the table."""

import dataclasses
import pathlib

from vireid_jax.speed.plan import table, waste
from vireid_jax.speed.plan.facts import Plan

# Instructions as the compilers for TPUs and GPUs write them: a convolution of bfloat16 to float32,
# one that reads float32, cuDNN's, a product written as a convolution, sums, gathers, and copies.
WASTEFUL = pathlib.Path(__file__).with_name("wasteful.hlo").read_text(encoding="utf-8")


def test_what_a_step_should_not_hold():
  assert waste.float32_convolutions(WASTEFUL) == 2
  assert waste.unwanted_collectives(WASTEFUL) == [
    "all-gather bf16[64,18,9,8] jit(step)/dot_general",
    "all-to-all (f32[8], f32[8])",
  ]
  assert waste.image_copies(WASTEFUL, 32, 32 * 288 * 144 * 3) == [
    {"shape": "u8[32,288,144,3]", "source": "batch[\\'visible\\']", "cycles": 73568},
    {"shape": "bf16[64,72,36,64]", "source": "jit(step)/stack", "cycles": None},
  ]
  assert waste.float32_convolutions("") == 0 and waste.image_copies("", 1, 1) == []


def test_remarks_say_what_a_step_should_not_hold():
  wasteful = Plan(
    *("a.py", "v5e", "TPU v5e", "step"),
    unwanted_collectives=[
      "all-to-all f32[8] c",
      "all-to-all f32[8] a",
      *["all-gather f32[9] b"] * 2,
    ],
    image_copies=[{"shape": "u8[8,4,4,3]", "source": "", "cycles": 600_000}] * 2,
    float32_convolutions=2,
    host_transfers=1,
    donated_bytes=3_000_000,
    reused_bytes=1_000_000,
  )
  *_, first, second, third, fourth, fifth = table.markdown([wasteful]).splitlines()
  assert first.startswith(
    "a.py on v5e: sends more than sums, labels and features: all-gather f32[9]"
  )
  assert first.endswith("b; all-to-all f32[8] a; all-to-all f32[8] c ... (4 in all)")
  assert second == "a.py on v5e: 2 convolutions read float32"
  assert third == "a.py on v5e: 1 exchanges with the host"
  assert fourth == "a.py on v5e: 2.0 MB of the state are copied instead of updated in place"
  assert fifth == "a.py on v5e: 2 copies of 1.20 Mcycles change the layout of images or maps"
  clean = dataclasses.replace(wasteful, unwanted_collectives=[], image_copies=[], host_transfers=0)
  clean = dataclasses.replace(clean, float32_convolutions=0, reused_bytes=3_000_000)
  assert len(table.markdown([clean]).splitlines()) == 3
