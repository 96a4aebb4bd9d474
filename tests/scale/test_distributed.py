"""Who a process is, from flags or from what launchers leave in the environment."""

import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.runtime import distributed

SLURM = {
  "SLURM_JOB_ID": "7",
  "SLURM_STEP_NODELIST": "node[1-2]",
  "SLURM_NTASKS": "2",
  "SLURM_PROCID": "1",
  "SLURM_LOCALID": "0",
}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}
LAUNCHER = {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"}


def resolve(environment, address=None, count=None, process=None):
  return distributed.resolve(address, count, process, environment)


def test_a_process_alone_needs_nothing():
  assert resolve({}) is None
  assert resolve({**SLURM, "SLURM_NTASKS": "1"}) is None
  # Inside a job's allocation, but not started by srun.
  assert resolve({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}) is None
  assert resolve({"OMPI_COMM_WORLD_SIZE": "1"}) is None


def test_launchers_are_left_to_jax():
  assert distributed.detect(SLURM) == "slurm" and resolve(SLURM) == {}
  assert (
    distributed.detect(OPEN_MPI | LAUNCHER) == "open_mpi" and resolve(OPEN_MPI | LAUNCHER) == {}
  )


def test_tpu_hosts_are_recognised_by_their_devices(tmp_path, monkeypatch):
  (tmp_path / "accel0").touch()
  monkeypatch.setattr(distributed, "TPU_DEVICES", (f"{tmp_path}/accel*",))
  monkeypatch.setattr(distributed.importlib.util, "find_spec", lambda name: name == "libtpu")
  assert distributed.detect({}) == "tpu" and resolve({}) == {}
  assert distributed.detect({"JAX_PLATFORMS": "cpu"}) is None
  (tmp_path / "accel0").unlink()
  assert distributed.detect({}) is None


def test_flags_decide_and_open_mpi_fills_in_the_numbers():
  wanted = {
    "coordinator_address": "a:1",
    "num_processes": 4,
    "process_id": 3,
    "cluster_detection_method": "deactivate",
  }
  assert resolve({}, "a:1", 4, 3) == wanted
  assert resolve(OPEN_MPI, "a:1") == wanted
  assert resolve(SLURM, "a:1", 4, 3) == wanted


@pytest.mark.parametrize(
  "arguments, message",
  [
    ((None, 2, 0), "must be given together; for example --coordinator_address"),
    (("a:1", None, None), "must be given together"),
    (("a:1", 2, None), "must be given together"),
    (("a:1", 2, 2), "--process_id=2 is not one of 0 to 1"),
  ],
)
def test_incomplete_flags_are_refused(arguments, message):
  with pytest.raises(UserError, match=message):
    resolve({}, *arguments)


def test_an_open_mpi_that_hides_its_launcher_asks_for_the_address():
  with pytest.raises(UserError, match="add --coordinator_address=HOST:12345"):
    resolve(OPEN_MPI)


def test_in_turn_calls_once_in_one_process():
  calls = []
  distributed.in_turn(lambda: calls.append(1))
  assert calls == [1]
