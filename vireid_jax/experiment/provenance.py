"""Provenance of a run: config, code, versions, devices and data."""

import pathlib
import platform
import subprocess
import sys
import time
from importlib import metadata

import jax

from vireid_jax.common.package_versions import versions
from vireid_jax.experiment.build import Run
from vireid_jax.experiment.manifest import read, store

# Packages that affect speed or data reading, besides those recorded in checkpoints.
PACKAGES = ("jaxlib", "grain", "array_record", "tensorflow-datasets", "ml-collections", "pillow")
SOURCE = pathlib.Path(__file__).parents[2]


def write(run: Run, step: int) -> None:
  """Adds this start to the workdir's manifest, on the first process.

  Args:
    run: Run that is about to train.
    step: Number of completed steps.
  """
  if jax.process_index():
    return
  record = read(run.workdir)
  store(run.workdir, {**record, "starts": [*record["starts"], describe(run, step)]})


def describe(run: Run, step: int) -> dict:
  """Returns the provenance of a run that starts from `step`."""
  return {
    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    "step": step,
    "command": sys.argv,
    "commit": commit(SOURCE),
    "versions": {"python": platform.python_version(), **versions(), **_more_versions()},
    "devices": _devices(),
    "data": {
      "name": run.dataset.name,
      "synthetic": run.dataset.is_synthetic,
      "fingerprint": run.data.fingerprint,
      "images": len(run.data.records),
      "identities": len(run.data.identities),
      "placement": run.data.placement,
    },
    "steps": run.total_steps,
    "steps_per_epoch": run.clock.steps_per_epoch,
    "config": run.meta["config"],
  }


def commit(folder: pathlib.Path) -> dict | None:
  """Returns {'hash', 'changed'} of a git checkout, given its root folder; None for other folders.

  `changed` is whether tracked files differ from the commit.
  """
  if not (folder / ".git").exists():
    return None
  head = _git(folder, "rev-parse", "HEAD")
  if head is None:
    return None
  return {"hash": head, "changed": bool(_git(folder, "status", "--porcelain", "-uno"))}


def _git(folder: pathlib.Path, *arguments: str) -> str | None:
  command = ["git", "-C", str(folder), *arguments]
  try:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
  except (OSError, subprocess.TimeoutExpired):
    return None
  return done.stdout.strip() if done.returncode == 0 else None


def _devices() -> dict:
  device = jax.devices()[0]
  return {
    "platform": device.platform,
    "kind": device.device_kind,
    "count": jax.device_count(),
    "processes": jax.process_count(),
    "runtime": device.client.platform_version.splitlines()[0],
  }


def _more_versions() -> dict[str, str]:
  found = {}
  for name in PACKAGES:
    try:
      found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
      continue
  return found
