"""Targets of a plan: their names, published numbers, and devices for the compiler."""

import contextlib
import dataclasses
import functools
import importlib.util
import math
import os
import pathlib
import re
import tomllib
from collections.abc import Iterator, Sequence

from vireid_jax.common.errors import UserError, choose, shown

FOLDER = pathlib.Path(__file__).parent / "chips"
CPU = "cpu"
MOST_DEVICES = 65_536
# Packages with a compiler, and the extra that installs it.
COMPILERS = {"tpu": ("libtpu", "tpu"), "gpu": ("jax_cuda13_plugin", "cuda")}


@dataclasses.dataclass(frozen=True)
class Target:
  """Hardware to compile for.

  Attributes:
    name: As the user wrote it, such as 'v5e:4x4', 'h100:8' or 'cpu:4'.
    platform: 'cpu', 'gpu' or 'tpu'.
    devices: Number of devices.
    kind: Name of the chip for a reader.
    memory: Bytes per device; None if unknown.
    memory_bandwidth: Bytes per second between a device and its memory, or None.
    flops: bfloat16 operations per second of a device, or None.
    clock: Cycles per second, or None where the compiler estimates no cycles.
    link_bandwidth: Bytes per second that a device sends to its neighbours, or None.
    description: What the compiler is told of a GPU; else empty.
  """

  name: str
  platform: str
  devices: int
  kind: str
  memory: float | None = None
  memory_bandwidth: float | None = None
  flops: float | None = None
  clock: float | None = None
  link_bandwidth: float | None = None
  description: str = ""


def parse(name: str) -> Target:
  """Reads a target's name.

  Raises:
    UserError: There is no such chip, or its slice or number of devices is malformed.
  """
  chip, _, size = name.partition(":")
  if chip == CPU:
    return Target(name, CPU, _count(name, size), "CPU")
  for platform in ("tpu", "gpu"):
    if chip in _known(platform):
      break
  else:
    choose(chip, (*_known("tpu"), *_known("gpu"), CPU), "target")
  facts = dict(_known(platform)[chip])
  per_chip = facts.pop("devices_per_chip", 1)
  if platform == "gpu":
    return Target(name, platform, _count(name, size), **facts)
  chips = _chips(name, size)
  shared = {key: facts[key] / per_chip for key in ("memory", "memory_bandwidth", "flops")}
  return Target(name, platform, chips * per_chip, **facts | shared)


@functools.cache
def _known(platform: str) -> dict[str, dict]:
  return tomllib.loads((FOLDER / f"{platform}.toml").read_text(encoding="utf-8"))


def _count(name: str, size: str) -> int:
  if not re.fullmatch(r"[1-9][0-9]{0,5}", size or "1") or int(size or 1) > MOST_DEVICES:
    raise UserError(
      f"--target {shown(name)}: {shown(size)} is not a number of devices from 1 to "
      f"{MOST_DEVICES:,}; write for example {name.partition(':')[0]}:8"
    )
  return int(size or 1)


def _chips(name: str, size: str) -> int:
  """Returns the number of chips of a slice such as '4x4'; '' and '1' are one chip."""
  if size in ("", "1"):
    return 1
  if not re.fullmatch(r"[1-9][0-9]{0,2}(x[1-9][0-9]{0,2}){1,2}", size):
    example = "2x2x1" if name[:2] in ("v4", "v5") and name[:3] != "v5e" else "4x4"
    raise UserError(
      f"--target {shown(name)}: {shown(size)} is not the shape of a slice; write for example "
      f"{name.partition(':')[0]}:{example}, or {name.partition(':')[0]} for one chip"
    )
  return math.prod(map(int, size.split("x")))


def prepare(targets: Sequence[Target]) -> None:
  """Sets up JAX for compiling; to be called before its first use in a process.

  Raises:
    UserError: A target's compiler is not installed.
  """
  for target in targets:
    package, extra = COMPILERS.get(target.platform, ("jax", ""))
    if importlib.util.find_spec(package) is None:
      raise UserError(
        f"--target {target.name}: the compiler for it is not installed ({package} was not found); "
        f"pip install 'vireid_jax[{extra}]' (in a checkout pip install -e '.[{extra}]')"
      )
  os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # else libtpu asks the cloud which machine this is
  os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"  # only its compiler is used, so plans share it
  import jax

  jax.config.update("jax_platforms", CPU)
  on_cpu = [target.devices for target in targets if target.platform == CPU]
  if on_cpu:
    jax.config.update("jax_num_cpu_devices", max(on_cpu))


def devices(target: Target) -> list:
  """Returns a target's devices, for a mesh. Only the compiler can use them.

  Raises:
    UserError: The compiler knows no such slice.
  """
  import jax
  from jax.experimental import topologies

  if target.platform == CPU:
    return jax.devices(CPU)[: target.devices]
  chip, _, size = target.name.partition(":")
  if target.platform == "gpu":
    options = {"topology": f"1x1x{target.devices}", "target_config": target.description}
    return topologies.get_topology_desc(platform="cuda", topology_name=chip, **options).devices
  one = size in ("", "1")
  shape = ("2x2" if chip in ("v5e", "v6e") else "2x2x1") if one else size
  try:
    with _quiet():
      found = topologies.get_topology_desc(platform="tpu", topology_name=f"{chip}:{shape}").devices
  except jax.errors.JaxRuntimeError as error:
    reason = str(error).strip().splitlines()[0]
    raise UserError(
      f"--target {target.name}: the compiler knows no such slice ({reason}); write one that can be "
      f"rented, such as {chip}:{'4x4' if chip in ('v5e', 'v6e') else '2x2x1'}"
    ) from error
  return found[: target.devices]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Hides what libtpu writes about not being on a TPU machine, which means nothing here."""
  saved = os.dup(2)
  try:
    with pathlib.Path(os.devnull).open("w") as nothing:
      os.dup2(nothing.fileno(), 2)
      yield
  finally:
    os.dup2(saved, 2)
    os.close(saved)
