"""Several processes that train as one: who they are, and doing things in turn.

A TPU pod, SLURM and Open MPI say in the environment how many processes there are; elsewhere the
command line says it. One process needs none of this.
"""

import glob
import importlib.util
import os
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils

from vireid_jax.common import interrupts
from vireid_jax.common.errors import UserError

SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
OPEN_MPI_SIZE, OPEN_MPI_RANK = "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"
# Open MPI 5 no longer says where its launcher is.
OPEN_MPI_LAUNCHER = "OMPI_MCA_orte_hnp_uri"
TPU_DEVICES = ("/dev/accel*", "/dev/vfio/[0-9]*")
EXAMPLE = "--coordinator_address=HOST:12345 --num_processes=2 --process_id=0"


def start(
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Joins the other processes, where there are any; before JAX first looks for devices.

  Args:
    coordinator_address: 'host:port' of process 0, which every process can reach; None where the
      environment tells it.
    num_processes: of the run; None likewise.
    process_id: from 0; None likewise.

  Raises:
    UserError: the arguments do not go together, or the others did not come.
  """
  arguments = resolve(coordinator_address, num_processes, process_id, os.environ)
  if arguments is None:
    return
  try:
    jax.distributed.initialize(**arguments)
  except (RuntimeError, ValueError) as error:
    reason = str(error).strip().splitlines()[0]
    raise UserError(
      f"the processes of this run did not find each other: {reason}. Start the same command once "
      f"per process; without TPU pod, SLURM or Open MPI give each {EXAMPLE} with its own id"
    ) from error
  if jax.process_count() == 1:
    # The coordination service has taken SIGTERM, which a process alone hears better itself.
    interrupts.retake()


def resolve(
  coordinator_address: str | None,
  num_processes: int | None,
  process_id: int | None,
  environment: Mapping[str, str],
) -> dict | None:
  """Decides how to start.

  Returns:
    The keyword arguments of `jax.distributed.initialize`, {} to let it find everything itself; None
    when the process is alone.

  Raises:
    UserError: the arguments do not go together.
  """
  if num_processes is None and process_id is None:
    if not coordinator_address:
      return {} if detect(environment) else None
    num_processes, process_id = _launched(environment)
  if not coordinator_address or num_processes is None or process_id is None:
    raise UserError(
      f"--coordinator_address={coordinator_address}, --num_processes={num_processes} and "
      f"--process_id={process_id} go together; for example {EXAMPLE}"
    )
  if not 0 <= process_id < num_processes:
    raise UserError(f"--process_id={process_id} is not among 0 to {num_processes - 1}")
  return {
    "coordinator_address": coordinator_address,
    "num_processes": num_processes,
    "process_id": process_id,
    "cluster_detection_method": "deactivate",
  }


def detect(environment: Mapping[str, str]) -> str | None:
  """Returns what started this process beside others: 'slurm', 'open_mpi', 'tpu' or None."""
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
  """Calls a function in one process after the other.

  What prepares files then finds them prepared, on storage that the processes share, and prepares
  them once per host where they share none.
  """
  for process in range(jax.process_count()):
    if process == jax.process_index():
      function()
    if jax.process_count() > 1:
      multihost_utils.sync_global_devices(f"vireid_jax turn {process}")


def all_agree(word: bool) -> bool:
  """Whether every process says yes; all must ask."""
  if jax.process_count() == 1:
    return word
  return bool(multihost_utils.process_allgather(np.array(word)).all())


def _launched(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
  """Returns (processes, this one) as SLURM or Open MPI tell it."""
  for size, rank in (("SLURM_NTASKS", "SLURM_PROCID"), (OPEN_MPI_SIZE, OPEN_MPI_RANK)):
    if size in environment and rank in environment:
      return _number(environment, size), _number(environment, rank)
  return None, None


def _number(environment: Mapping[str, str], name: str) -> int:
  try:
    return int(environment[name])
  except ValueError:
    raise UserError(
      f"the environment has {name}={environment[name]!r}, which is not a number; unset it, or say "
      f"who takes part with {EXAMPLE}"
    ) from None


def _on_tpu_host(environment: Mapping[str, str]) -> bool:
  if "tpu" not in environment.get("JAX_PLATFORMS", "tpu"):
    return False
  has_devices = any(glob.glob(pattern) for pattern in TPU_DEVICES)  # noqa: PTH207
  return has_devices and importlib.util.find_spec("libtpu") is not None
