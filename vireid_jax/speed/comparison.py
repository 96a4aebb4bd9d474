"""Times the sides of a benchmark in turn, and describes the numbers."""

import argparse
import os
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from vireid_jax.common import progress, table, units
from vireid_jax.common.errors import UserError
from vireid_jax.common.formats import Column
from vireid_jax.config import arguments
from vireid_jax.speed import device, setting
from vireid_jax.speed.turns import Side, ratio, take_turns

# Title of each column, and its text from a side's numbers.
COLUMNS = (
  ("side", lambda n: n["name"]),
  ("dtype", lambda n: n["dtype"]),
  ("images", lambda n: str(n["images"])),
  ("ms", lambda n: f"{1e3 * n['median_seconds']:,.1f}"),
  ("images/s", lambda n: f"{n['images_per_second']:,.1f}"),
  ("GFLOP", lambda n: _in_giga(n["flops"])),
  ("GFLOP/s", lambda n: _in_giga(n["flops_per_second"])),
  ("of peak", lambda n: _show(n["share_of_peak"], ".0%")),
  ("GB moved", lambda n: _in_giga(n["bytes"])),
  ("floor ms", lambda n: _show(n["floor_seconds"], ",.1f", 1e3)),
  ("memory GB", lambda n: _in_giga(n["memory_bytes"])),
  ("compile s", lambda n: _show(n["compile_seconds"], ",.1f")),
  ("warm-up s", lambda n: f"{n['warm_up_seconds']:,.1f}"),
)
FACTS = ("flops", "bytes", "memory_bytes", "compile_seconds")
# Unit of each number of a side.
UNITS = {
  "median_seconds": "seconds",
  "warm_up_seconds": "seconds",
  "compile_seconds": "seconds",
  "floor_seconds": "seconds",
  "images_per_second": "images_per_second",
  "flops": "flops",
  "flops_per_second": "flops_per_second",
  "share_of_peak": "rate",
  "bytes": "bytes",
  "memory_bytes": "bytes",
}


def compare(
  options: argparse.Namespace,
  prepare: Callable[[str, argparse.Namespace], Side],
  *,
  baseline: str,
) -> dict:
  """Times all configs, the baselines and the device's peaks in turn.

  Args:
    options: Command-line options; see `setting.add_arguments`.
    prepare: Function from (path of a config, options) to its side.
    baseline: Name of the function in `speed.torch_sides` that builds a PyTorch side.

  Returns:
    'device', 'peaks', 'memory', 'sides' with the output of `_numbers` for each side, and 'units'.
  """
  if options.repeats < 1:
    raise UserError(f"--repeats is {options.repeats}; it must be at least 1")
  sides = _baselines(options, baseline)
  paths = arguments.configs(options)
  sides += [prepare(path, options) for path in progress.tracked(paths, "compiling")]
  products = {name: device.product_side(jnp.dtype(name)) for name in _dtypes(sides)}
  copy = device.copy_side()
  take_turns([*sides, *products.values(), copy], options.repeats)
  peaks = {
    "flops_per_second": {name: device.rate(side, "flops") for name, side in products.items()},
    "bytes_per_second": device.rate(copy, "bytes"),
  }
  return {
    "device": str(jax.devices()[0].device_kind),
    "peaks": peaks,
    "memory": device.memory(),
    "sides": {side.name: _numbers(side, sides, peaks) for side in sides},
    "units": {name: units.UNITS[unit] for name, unit in UNITS.items()},
  }


def facts(
  lowered: jax.stages.Lowered,
  compiled: jax.stages.Compiled,
  seconds: float,
  *,
  fused: jax.stages.Compiled | None = None,
) -> dict:
  """Returns the compiler's numbers about a program.

  Args:
    lowered: Program as written, in which operations are counted; the compiler replaces some of them
      by calls of a library, which it cannot count.
    compiled: Program that runs, whose memory is counted.
    seconds: Seconds of compilation.
    fused: Program with fused elementwise operations, in which bytes are counted; default
      `compiled`.
  """
  written, moved = (stage.cost_analysis() or {} for stage in (lowered, fused or compiled))
  return {
    "flops": written.get("flops"),
    "bytes": moved.get("bytes accessed"),
    "memory_bytes": _memory(compiled),
    "compile_seconds": seconds,
  }


def _memory(compiled: jax.stages.Compiled) -> float | None:
  """Returns the compiler's estimate of a program's memory in bytes; donated buffers count once."""
  found = compiled.memory_analysis()
  if found is None:
    return None
  kept = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
  return kept + found.temp_size_in_bytes


def _baselines(options: argparse.Namespace, baseline: str) -> list[Side]:
  """Builds the PyTorch sides, with the settings of the first config."""
  if not options.baseline:
    return []
  # Set before the device is first used: by default JAX allocates three quarters of a GPU's memory.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  make = getattr(_torch_sides(), baseline)
  config = setting.load(arguments.configs(options)[0], options)
  return [make(config, options, name) for name in dict.fromkeys(options.baseline)]


def _torch_sides():
  try:
    from vireid_jax.speed import torch_sides
  except ModuleNotFoundError as error:
    if error.name != "torch":
      raise
    raise UserError(
      "--baseline needs PyTorch: pip install 'vireid_jax[torch]' (in a checkout pip install -e "
      "'.[torch]'); choose a build for this device at https://pytorch.org. Or omit --baseline"
    ) from None
  return torch_sides


def _dtypes(sides: Sequence[Side]) -> list[str]:
  return sorted({side.facts["dtype"] for side in sides})


def _numbers(side: Side, sides: Sequence[Side], peaks: dict) -> dict:
  """Returns the numbers of a side.

  'flops' and 'bytes' of a call, 'memory_bytes' and 'compile_seconds' are None if unknown.
  'floor_seconds' is the time of the operations or of the bytes at the measured peaks, whichever is
  longer; 'ratios' compare images per second with each baseline.
  """
  found = {name: side.facts.get(name) for name in FACTS}
  flops, median = found["flops"], side.median
  peak = peaks["flops_per_second"][side.facts["dtype"]]
  times = [flops and flops / peak, found["bytes"] and found["bytes"] / peaks["bytes_per_second"]]
  return {
    "name": side.name,
    "dtype": side.facts["dtype"],
    "images": side.images,
    "seconds": side.seconds,
    "median_seconds": median,
    "warm_up_seconds": side.warm_up,
    "images_per_second": side.images / median,
    **found,
    "flops_per_second": flops and flops / median,
    "share_of_peak": flops and flops / median / peak,
    "floor_seconds": max(times) if None not in times else None,
    "ratios": {
      other.name: ratio(side, other) for other in sides if other.is_baseline and other is not side
    },
  }


def text(numbers: dict) -> str:
  """Describes the numbers of `compare` for a person: a Markdown table, peaks and memory."""
  peaks = numbers["peaks"]
  lines = [_table(list(numbers["sides"].values()))]
  lines += [
    f"measured peak, {name} matrix product: {peak / 1e9:,.0f} GFLOP/s"
    for name, peak in peaks["flops_per_second"].items()
  ]
  lines.append(f"measured peak, copying: {peaks['bytes_per_second'] / 1e9:,.1f} GB/s")
  shown = [f"{name} {_in_giga(value)} GB" for name, value in numbers["memory"].items()]
  return "\n".join([*lines, f"peak memory, all sides together: {', '.join(shown)}"])


def columns(numbers: dict) -> list[Column]:
  """Returns the columns of `rows`."""
  ratios = [Column(_ratio_name(name), "times") for name in _baseline_names(numbers)]
  known = [Column(name, unit) for name, unit in UNITS.items()]
  return [Column("side"), Column("dtype"), Column("images"), *known, *ratios]


def rows(numbers: dict) -> list[dict]:
  """Returns a row per side."""
  return [
    {
      **each,
      "side": each["name"],
      **{_ratio_name(name): value for name, value in each["ratios"].items()},
    }
    for each in numbers["sides"].values()
  ]


def _baseline_names(numbers: dict) -> list[str]:
  return list(dict.fromkeys(name for each in numbers["sides"].values() for name in each["ratios"]))


def _ratio_name(baseline: str) -> str:
  return f"{baseline}_times"


def _table(numbers: list[dict]) -> str:
  names = list(dict.fromkeys(name for each in numbers for name in each["ratios"]))
  head = [title for title, _ in COLUMNS] + [f"times {name}" for name in names]
  cells = []
  for each in numbers:
    ratios = [_show(each["ratios"].get(name), ".2f") for name in names]
    cells.append([read(each) for _, read in COLUMNS] + ratios)
  return table.markdown(head, cells, "l" + "r" * (len(head) - 1))


def _in_giga(value: float | None) -> str:
  return _show(value, ",.2f", 1e-9)


def _show(value: float | None, form: str, factor: float = 1.0) -> str:
  return "-" if value is None else format(factor * value, form)
