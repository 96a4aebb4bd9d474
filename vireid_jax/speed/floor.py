"""Cost of a training step per image, and a lower bound of its time on a device.

The compiler counts; nothing is run, and no data set is needed. The floor of a step is its
operations divided by the device's matrix peak, or its bytes divided by the memory bandwidth,
whichever is longer. Bytes are those of the program as compiled for this backend: others fuse
differently, and bfloat16 halves the bytes.
"""

import argparse

import jax

from vireid_jax.common import progress, table
from vireid_jax.common.errors import UserError
from vireid_jax.common.formats import Column
from vireid_jax.config import arguments
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.speed import setting, step
from vireid_jax.training import first_state

# Published peaks, dense bfloat16 products and memory, per second. Sources: NVIDIA's H100 SXM data
# sheet; Google's page on TPU v5e.
PUBLISHED = {"H100 SXM": (989e12, 3.35e12), "TPU v5e": (197e12, 819e9)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of the benchmark."""
  setting.add_network_arguments(parser)
  setting.add_batch_argument(parser)
  parser.add_argument(
    "--peaks",
    type=float,
    nargs=2,
    metavar=("FLOPS", "BYTES"),
    help="peaks of this device, per second, as measured by `benchmark step`",
  )
  parser.add_argument(
    "--no-bytes", action="store_true", help="do not count bytes, which needs compilation"
  )


def run(options: argparse.Namespace) -> dict:
  """Counts the step of each config.

  Returns:
    For each config 'images' per step, 'flops' and 'bytes' per image (None if not counted), and
    'floor_seconds' of a step by device.
  """
  if options.peaks and min(options.peaks) <= 0:
    raise UserError(f"--peaks are {options.peaks}; both must be above 0")
  peaks = {"this machine": tuple(options.peaks)} if options.peaks else {}
  paths = arguments.configs(options)
  numbers = {path: count(path, options) for path in progress.tracked(paths, "counting")}
  for found in numbers.values():
    found["floor_seconds"] = {
      device: found["images"] * floor(found["flops"], found["bytes"], *peak)
      for device, peak in (peaks | PUBLISHED).items()
    }
  return numbers


def floor(flops: float, moved: float | None, flops_peak: float, bytes_peak: float) -> float:
  """Returns a lower bound of the seconds for operations and bytes; bytes may be None."""
  return max(flops / flops_peak, (moved or 0.0) / bytes_peak)


def count(path: str, options: argparse.Namespace) -> dict:
  """Returns images per step, and operations and bytes per image; see `run`."""
  config = setting.load(path, options)
  # Plain convolutions count the computation itself, independent of the backend's preferred form.
  config.numerics.conv_impl = "xla"
  method = setting.create_method(config, options.identities)
  optimizer, mesh = setting.create_optimizer(config, method), mesh_lib.make_mesh()
  state = first_state.abstract(config.data.image_size, config.seed, method, optimizer, mesh)
  batch = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=mesh_lib.by_rows(mesh)),
    setting.random_batch(config, options.identities),
  )
  lowered = step.lower(config, method, optimizer, state, batch, unroll=True)
  images, moved = 2 * batch["label"].shape[0], None
  if not options.no_bytes:
    moved = lowered.compile().cost_analysis()["bytes accessed"] / images
  return {"images": images, "flops": lowered.cost_analysis()["flops"] / images, "bytes": moved}


def text(numbers: dict[str, dict]) -> str:
  """Describes the numbers for a person, as a Markdown table."""
  devices = _devices(numbers)
  floors = [f"floor of a step, ms: {device}" for device in devices]
  head = ["config", "images", "GFLOP per image", "GB moved per image", *floors]
  cells = []
  for path, found in numbers.items():
    moved = "-" if found["bytes"] is None else f"{found['bytes'] / 1e9:.2f}"
    times = [f"{1e3 * found['floor_seconds'][device]:,.2f}" for device in devices]
    cells.append([path, str(found["images"]), f"{found['flops'] / 1e9:.1f}", moved, *times])
  return table.markdown(head, cells, "l" + "r" * (len(head) - 1))


def columns(numbers: dict[str, dict]) -> list[Column]:
  """Returns the columns of `rows`."""
  counted = [Column("flops_per_image", "flops"), Column("bytes_per_image", "bytes")]
  floors = [Column(_floor_name(device), "seconds") for device in _devices(numbers)]
  return [Column("config"), Column("images"), *counted, *floors]


def rows(numbers: dict[str, dict]) -> list[dict]:
  """Returns a row per config."""
  return [
    {
      "config": path,
      "images": found["images"],
      "flops_per_image": found["flops"],
      "bytes_per_image": found["bytes"],
      **{_floor_name(device): value for device, value in found["floor_seconds"].items()},
    }
    for path, found in numbers.items()
  ]


def _devices(numbers: dict[str, dict]) -> list[str]:
  return list(next(iter(numbers.values()))["floor_seconds"])


def _floor_name(device: str) -> str:
  return f"floor_{device.lower().replace(' ', '_')}_seconds"
