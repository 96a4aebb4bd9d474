"""Compiles a program for a target and collects what the compiler says of it."""

import dataclasses
import hashlib
import time
from collections.abc import Callable
from importlib import metadata

import jax
from ml_collections import ConfigDict

from vireid_jax.common.errors import UserError, printable
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.runtime import platform
from vireid_jax.speed.plan import listing, programs, waste
from vireid_jax.speed.plan import targets as targets_lib
from vireid_jax.speed.plan.targets import Target

LONGEST_ERROR = 200
# XLA's own matrix products for GPUs need tiles that are tried on one; cuBLAS's need no trial.
COMPILER_OPTIONS = {"gpu": {"xla_gpu_enable_triton_gemm": False}}


@dataclasses.dataclass(frozen=True)
class Plan:
  """What a compiler says of a program on a target; None where it says nothing.

  Attributes:
    config: As the user named it.
    target: Name of the target.
    chip: Name of its chip for a reader.
    what: Name of the program.
    program: SHA-256 of the lowered program, before a compiler for the target has seen it.
    compiler: Package of the compiler and its version.
    error: First line of the compiler's error; empty if it compiles.
    devices: Number of devices.
    hosts: Number of hosts.
    images: Images of one call, on all devices.
    scaled_from: The config's own number of images, if its batch was enlarged for the slice.
    memory_limit_bytes: What a device has.
    argument_bytes, temporary_bytes, output_bytes, reused_bytes: Memory of a call on a device;
      `reused_bytes` of the outputs lie in donated arguments.
    peak_bytes: Arguments, temporaries and those outputs that reuse no argument.
    fits: Whether the peak is below the limit.
    donated_bytes: Of the donated arguments, before padding: at most `reused_bytes`, or some of
      them are copied.
    flops: Operations of a call on a device, as the compiler counts them; those of the program
      before compilation where it does not.
    bytes: Bytes that a call moves between a device and its memory.
    collectives: {kind: {'count', 'bytes'}} of a call on a device.
    host_transfers: Number of exchanges with the host within a call.
    unwanted_collectives, image_copies: See `waste`.
    float32_convolutions: Number of convolutions that read float32.
    estimated_cycles: Sum over the program's instructions, by the TPU compiler; collectives and
      waiting are not among them.
    estimated_seconds: Those cycles at the chip's clock.
    estimated_images_per_second: Per device.
    share_of_flop_floor: Time of the operations at the chip's peak over the estimated time.
    estimated_collective_seconds: Bytes of the collectives at the published speed of the links.
    compile_seconds: Seconds of compilation.
  """

  config: str
  target: str
  chip: str
  what: str
  program: str = ""
  compiler: str = ""
  error: str = ""
  devices: int | None = None
  hosts: int | None = None
  images: int | None = None
  scaled_from: int | None = None
  memory_limit_bytes: float | None = None
  argument_bytes: int | None = None
  temporary_bytes: int | None = None
  output_bytes: int | None = None
  reused_bytes: int | None = None
  donated_bytes: int | None = None
  peak_bytes: int | None = None
  fits: bool | None = None
  flops: float | None = None
  bytes: float | None = None
  collectives: dict | None = None
  host_transfers: int | None = None
  unwanted_collectives: list[str] | None = None
  image_copies: list[dict] | None = None
  float32_convolutions: int | None = None
  estimated_cycles: int | None = None
  estimated_seconds: float | None = None
  estimated_images_per_second: float | None = None
  share_of_flop_floor: float | None = None
  estimated_collective_seconds: float | None = None
  compile_seconds: float | None = None

  @property
  def flops_per_image(self) -> float | None:
    """Operations per image, over all devices."""
    return self.flops and self.flops * self.devices / self.images

  @property
  def bytes_per_image(self) -> float | None:
    """Bytes moved per image, over all devices."""
    return self.bytes and self.bytes * self.devices / self.images

  def as_dict(self) -> dict:
    """Returns all fields and the numbers per image, as JSON values."""
    own = {"flops_per_image": self.flops_per_image, "bytes_per_image": self.bytes_per_image}
    return {**dataclasses.asdict(self), **own}


def plan(
  name: str,
  config: ConfigDict,
  target: Target,
  what: str,
  classes: int,
  find: Callable[[Plan], Plan | None] = lambda plan: None,
) -> Plan:
  """Compiles a program of a config for a target.

  Args:
    name: Of the config, for the result.
    config: Config of the run; not changed.
    target: Hardware to compile for.
    what: One of `programs.PROGRAMS`.
    classes: Number of training identities.
    find: Returns a plan that was made before, given one without the compiler's numbers; or None,
      and then the program is compiled.
  """
  known = {"config": name, "target": target.name, "chip": target.kind, "what": what}
  devices = targets_lib.devices(target)
  mesh, config = mesh_lib.make_mesh(devices), config.copy_and_resolve_references()
  hosts = len({device.process_index for device in devices})
  known |= {"devices": len(devices), "hosts": hosts, "memory_limit_bytes": target.memory}
  known["compiler"] = _compiler(target)
  with platform.compiling_for(target.platform):
    program = programs.lower(what, config, mesh, classes)
    known |= {"images": program.images, "scaled_from": program.scaled}
    known["program"] = hashlib.sha256(program.lowered.as_text().encode()).hexdigest()
    if found := find(Plan(**known)):
      return found
    begun = time.perf_counter()
    try:
      compiled = program.lowered.compile(COMPILER_OPTIONS.get(target.platform))
    except jax.errors.JaxRuntimeError as error:
      return Plan(**known, error=_first_line(error), fits=False if _too_large(error) else None)
    known["compile_seconds"] = time.perf_counter() - begun
    counted = dict(compiled.cost_analysis() or {})
    if "flops" not in counted:
      counted["flops"] = programs.flops(what, config, classes) / target.devices
  known["donated_bytes"] = program.donated_bytes
  return Plan(
    **known,
    **_memory(compiled, target),
    **_work(compiled.as_text(), counted, target, program.images),
    **_waste(compiled.as_text(), program),
  )


def largest_batch(
  name: str,
  config: ConfigDict,
  target: Target,
  classes: int,
  find: Callable[[Plan], Plan | None] = lambda plan: None,
) -> list[Plan]:
  """Searches the largest batch of a training step that fits, by doubling and halving.

  Args:
    name, config, target, classes, find: As in `plan`.

  Returns:
    A plan per batch that was tried; the last that fits and the first that does not are among them.

  Raises:
    UserError: Nothing is known of the target's memory.
  """
  if target.memory is None:
    raise UserError(
      f"--largest_batch: the memory of {target.name} is not known; plan another target"
    )
  config, tried = config.copy_and_resolve_references(), {}
  block = target.devices * config.train.accumulate
  programs.fit_batch(config, target.devices)

  def fits(blocks: int) -> bool:
    config.sampler.num_identities = blocks * block
    tried[blocks] = plan(name, config, target, "step", classes, find)
    return bool(tried[blocks].fits)

  low, high = 0, max(config.sampler.num_identities // block, 1)
  while fits(high):
    low, high = high, 2 * high
  while high - low > max(low // 8, 1):
    middle = (low + high) // 2
    low, high = (middle, high) if fits(middle) else (low, middle)
  return [tried[blocks] for blocks in sorted(tried)]


def _memory(compiled: jax.stages.Compiled, target: Target) -> dict:
  found = compiled.memory_analysis()
  if found is None:
    return {}
  peak = (
    found.argument_size_in_bytes
    + found.temp_size_in_bytes
    + found.output_size_in_bytes
    - found.alias_size_in_bytes
  )
  return {
    "argument_bytes": found.argument_size_in_bytes,
    "temporary_bytes": found.temp_size_in_bytes,
    "output_bytes": found.output_size_in_bytes,
    "reused_bytes": found.alias_size_in_bytes,
    "peak_bytes": peak,
    "fits": None if target.memory is None else peak <= target.memory,
  }


def _work(text: str, counted: dict, target: Target, images: int) -> dict:
  sent = listing.collectives(text)
  found = {
    "flops": counted["flops"],
    "bytes": counted.get("bytes accessed"),
    "collectives": sent,
    "host_transfers": listing.host_transfers(text),
  }
  if target.link_bandwidth:
    moved = sum(listing.sent(kind, each["bytes"], target.devices) for kind, each in sent.items())
    found["estimated_collective_seconds"] = moved / target.link_bandwidth
  cycles = listing.estimated_cycles(text)
  if cycles and target.clock:
    seconds = cycles / target.clock
    found |= {
      "estimated_cycles": cycles,
      "estimated_seconds": seconds,
      "estimated_images_per_second": images / target.devices / seconds,
      "share_of_flop_floor": found["flops"] and found["flops"] / target.flops / seconds,
    }
  return found


def _waste(text: str, program: programs.Program) -> dict:
  copies = waste.image_copies(text, *program.image_rows) if program.image_rows else []
  return {
    "unwanted_collectives": waste.unwanted_collectives(text),
    "image_copies": copies,
    "float32_convolutions": waste.float32_convolutions(text),
  }


def _compiler(target: Target) -> str:
  package = targets_lib.COMPILERS.get(target.platform, ("jaxlib",))[0].replace("_", "-")
  return f"{package} {metadata.version(package)}"


def _first_line(error: Exception) -> str:
  line = printable(str(error).strip().splitlines()[0])
  return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 4]} ..."


def _too_large(error: Exception) -> bool:
  return "RESOURCE_EXHAUSTED" in str(error)
