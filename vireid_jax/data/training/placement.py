"""Where the training images are kept: on the devices, in host memory, or on disk."""

import dataclasses
import pathlib

import jax
import numpy as np
from jax.experimental import multihost_utils

from vireid_jax.common import errors
from vireid_jax.runtime import platform

# From the fastest to the slowest.
DEVICE, HOST, STREAM = "device", "host", "stream"
PLACEMENTS = (DEVICE, HOST, STREAM)
AUTO = "auto"

# Shares of memory that decoded images may take; the rest is for the network or other programs.
DEVICE_SHARE, HOST_SHARE = 0.3, 0.6
CGROUP = pathlib.Path("/sys/fs/cgroup")
PROCESS_GROUPS = pathlib.Path("/proc/self/cgroup")
# In versions 2 and 1: files of limit and usage, and the page cache's key in memory.stat.
CGROUP_FILES = (
  ("memory.max", "memory.current", "inactive_file"),
  ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclasses.dataclass(frozen=True)
class Placement:
  """Where images are kept, and why.

  Attributes:
    name: One of `PLACEMENTS`.
    reason: Reason in words, for the log.
  """

  name: str
  reason: str


def check(wanted: str) -> None:
  """Raises UserError unless `wanted` is 'auto' or one of `PLACEMENTS`."""
  errors.choose(wanted, (AUTO, *PLACEMENTS), said=f"config.data.placement = {wanted!r}")


def choose(wanted: str, needed: int) -> Placement:
  """Chooses a placement, the same on every host.

  Args:
    wanted: One of `PLACEMENTS`, which is then used, or 'auto' to choose by size.
    needed: Size of the decoded images in bytes.
  """
  if wanted != AUTO:
    return Placement(wanted, f"{size(needed)} decoded, as set by config.data.placement")
  decision = decide(needed, device_memory(), host_memory())
  if jax.process_count() > 1:
    ranks = multihost_utils.process_allgather(np.int32(PLACEMENTS.index(decision.name)))
    name = PLACEMENTS[int(ranks.max())]
    if name != decision.name:
      return Placement(name, f"{size(needed)} decoded, too large for a host with less memory")
  return decision


def decide(needed: int, device: int | None, host: int | None) -> Placement:
  """Chooses a placement by size.

  Args:
    needed: Size of the decoded images in bytes.
    device: Memory of a device in bytes; None without an accelerator.
    host: Free memory of the host in bytes; None if unknown.
  """
  if device is not None and needed <= DEVICE_SHARE * device:
    return Placement(DEVICE, _compare(needed, DEVICE_SHARE, device, "each device's"))
  if host is None or needed <= HOST_SHARE * host:
    where = "no accelerator" if device is None else f"each device has {size(device)}"
    return Placement(HOST, f"{size(needed)} decoded; {where}")
  return Placement(STREAM, _compare(needed, HOST_SHARE, host, "the host's free"))


def device_memory() -> int | None:
  """Returns the bytes that a program may use on a device of this host; None on CPU."""
  if platform.is_cpu():
    return None
  stats = jax.local_devices()[0].memory_stats() or {}
  return stats.get("bytes_limit")


def host_memory() -> int | None:
  """Returns the bytes that are free on this host, or under this container's limit."""
  found = [_meminfo(), _cgroup()]
  return min((count for count in found if count is not None), default=None)


def size(count: int) -> str:
  """Formats bytes as MiB or GiB."""
  return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _compare(needed: int, share: float, memory: int, whose: str) -> str:
  relation = "within" if needed <= share * memory else "more than"
  return f"{size(needed)} decoded, {relation} {share:.0%} of {whose} {size(memory)}"


def _meminfo() -> int | None:
  path = pathlib.Path("/proc/meminfo")
  if not path.exists():
    return None
  fields = dict(line.split(":") for line in path.read_text().splitlines() if ":" in line)
  return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def _cgroup() -> int | None:
  """Returns the bytes left under this process's tightest control group limit, or None."""
  found = [_free(folder) for folder in _cgroup_folders()]
  return min((count for count in found if count is not None), default=None)


def _cgroup_folders() -> list[pathlib.Path]:
  """Returns the folders of this process's memory group and its parents, for versions 1 and 2.

  A container may see its own group as the root, although /proc gives its path on the host.
  """
  found = [CGROUP, CGROUP / "memory"]
  try:
    lines = PROCESS_GROUPS.read_text().splitlines()
  except OSError:
    return found
  for line in lines:
    _, controllers, path = line.split(":", 2)
    if controllers == "" or "memory" in controllers.split(","):
      root = CGROUP / "memory" if controllers else CGROUP
      inner = pathlib.PurePosixPath(path.lstrip("/"))
      found += [root / each for each in (inner, *inner.parents)]
  return found


def _free(folder: pathlib.Path) -> int | None:
  """Returns limit - used + page cache of one group; None if it has no limit or cannot be read.

  The page cache counts as used, but is freed on demand; after a data set has been read, it can fill
  the whole limit.
  """
  for limit, used, cache in CGROUP_FILES:
    try:
      most = int((folder / limit).read_text())  # 'max' means no limit
      taken = int((folder / used).read_text())
      stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
      return max(most - taken + int(stat.get(cache, 0)), 0)
    except (OSError, ValueError):
      continue
  return None
