"""Training in several processes: how they find each other and take turns.

On a TPU pod, and under SLURM and Open MPI, the environment gives the number of processes; elsewhere
the command line does. A single process needs none of this.
"""

import glob
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils

from vireid_jax.common import interrupts, progress
from vireid_jax.common.errors import UserError

SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
OPEN_MPI_SIZE, OPEN_MPI_RANK = "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"
# Open MPI 5 no longer sets this variable.
OPEN_MPI_LAUNCHER = "OMPI_MCA_orte_hnp_uri"
TPU_DEVICES = ("/dev/accel*", "/dev/vfio/[0-9]*")
EXAMPLE = "--coordinator_address=HOST:12345 --num_processes=2 --process_id=0"


def start(
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Joins the other processes, if any; must be called before JAX first looks for devices.

  Args:
    coordinator_address: 'host:port' of process 0, reachable from every process; None to take it
      from the environment.
    num_processes: Number of processes of the run; None to take it from the environment.
    process_id: Index of this process, from 0; None to take it from the environment.

  Raises:
    UserError: The arguments are inconsistent, or the other processes did not join.
  """
  arguments = resolve(coordinator_address, num_processes, process_id, os.environ)
  if arguments is None:
    return
  try:
    with progress.show("waiting for the other processes"):
      jax.distributed.initialize(**arguments)
  except (RuntimeError, ValueError) as error:
    reason = str(error).strip().splitlines()[0]
    raise UserError(
      f"the processes of this run did not find each other: {reason}. Start the same command once "
      f"per process; without a TPU pod, SLURM or Open MPI, give each {EXAMPLE} with its own id"
    ) from error
  if jax.process_index():
    number, count = jax.process_index(), jax.process_count()
    print(f"process {number} of 0 to {count - 1}: process 0 shows what is done", file=sys.stderr)
  if jax.process_count() == 1:
    # The coordination service took over SIGTERM, which a single process handles better itself.
    interrupts.retake()


def resolve(
  coordinator_address: str | None,
  num_processes: int | None,
  process_id: int | None,
  environment: Mapping[str, str],
) -> dict | None:
  """Returns how to initialise JAX for several processes.

  Args:
    coordinator_address: See `start`.
    num_processes: See `start`.
    process_id: See `start`.
    environment: Environment variables.

  Returns:
    Keyword arguments for `jax.distributed.initialize`, {} to let it detect everything; None for a
    single process.

  Raises:
    UserError: The arguments are inconsistent.
  """
  if num_processes is None and process_id is None:
    if not coordinator_address:
      return {} if detect(environment) else None
    num_processes, process_id = _launched(environment)
  if not coordinator_address or num_processes is None or process_id is None:
    raise UserError(
      f"--coordinator_address={coordinator_address}, --num_processes={num_processes} and "
      f"--process_id={process_id} must be given together; for example {EXAMPLE}"
    )
  if not 0 <= process_id < num_processes:
    raise UserError(f"--process_id={process_id} is not one of 0 to {num_processes - 1}")
  return {
    "coordinator_address": coordinator_address,
    "num_processes": num_processes,
    "process_id": process_id,
    "cluster_detection_method": "deactivate",
  }


def detect(environment: Mapping[str, str]) -> str | None:
  """Returns what launched several processes: 'slurm', 'open_mpi' or 'tpu'; else None."""
  if all(name in environment for name in SLURM) and _number(environment, "SLURM_NTASKS") > 1:
    return "slurm"
  if OPEN_MPI_SIZE in environment and _number(environment, OPEN_MPI_SIZE) > 1:
    if OPEN_MPI_LAUNCHER not in environment:
      raise UserError(
        "this Open MPI does not say where its launcher runs; add --coordinator_address=HOST:12345 "
        "with the host of rank 0"
      )
    return "open_mpi"
  return "tpu" if _on_tpu_host(environment) else None


def in_turn(function: Callable[[], None]) -> None:
  """Calls a function in one process after another.

  Files are then prepared once: by the first process on shared storage, else by the first of each
  host.
  """
  for process in range(jax.process_count()):
    if process == jax.process_index():
      function()
    if jax.process_count() > 1:
      multihost_utils.sync_global_devices(f"vireid_jax turn {process}")


def all_agree(vote: bool) -> bool:
  """Returns whether every process votes True; all processes must call it."""
  if jax.process_count() == 1:
    return vote
  return bool(multihost_utils.process_allgather(np.array(vote)).all())


def _launched(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
  """Returns (number of processes, index of this one) from SLURM or Open MPI."""
  for size, rank in (("SLURM_NTASKS", "SLURM_PROCID"), (OPEN_MPI_SIZE, OPEN_MPI_RANK)):
    if size in environment and rank in environment:
      return _number(environment, size), _number(environment, rank)
  return None, None


def _number(environment: Mapping[str, str], name: str) -> int:
  try:
    return int(environment[name])
  except ValueError:
    raise UserError(
      f"the environment has {name}={environment[name]!r}, which is not a number; unset it, or "
      f"pass {EXAMPLE}"
    ) from None


def _on_tpu_host(environment: Mapping[str, str]) -> bool:
  if "tpu" not in environment.get("JAX_PLATFORMS", "tpu"):
    return False
  has_devices = any(glob.glob(pattern) for pattern in TPU_DEVICES)  # noqa: PTH207
  return has_devices and importlib.util.find_spec("libtpu") is not None
