"""The life of a run on a pod, with workdir and data in a bucket: a rehearsal on this machine.

Two real processes, which share nothing but the bucket of an emulator, train; one is killed without
notice, one with; the same command continues; a single process evaluates from the bucket. Everything
equals a run in local folders that nothing disturbed.
"""

import json
import signal
import subprocess
import sys
import time

import bucket_server
import config_files
import jax
import numpy as np
import pytest
from scale import processes
from scale.groups import Group

from vireid_jax.common import paths, workdir_files
from vireid_jax.experiment import train
from vireid_jax.training import metrics

pytest.importorskip("gcsfs")

NAME, DATA = "agw_synthetic", "vireid_synthetic/smoke"
LAST, SAVE, EVALUATE = 24, 4, 12  # steps
NOTICE = 30.0  # seconds from the signal until a spot machine is taken away
BUCKET = f"gs://{bucket_server.BUCKET}"
TIMED = ("time", "seconds", "images_per_second", "goodput")


@pytest.fixture(scope="module")
def server():
  port = bucket_server.free_port()
  command = [sys.executable, bucket_server.__file__, str(port)]
  pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
  with subprocess.Popen(command, **pipes) as process:
    assert process.stdout.readline() == "serving\n"
    yield f"http://localhost:{port}"
    process.stdin.close()


class Place:
  """Where the commands of a walk-through run, and what they may write."""

  def __init__(self, root, **variables):
    self.root = root
    self.variables = {**variables, "TFDS_DATA_DIR": "", "XDG_CACHE_HOME": str(root / "cache")}
    self.variables |= {"HOME": str(root / "home"), "TMPDIR": str(root / "tmp")}
    for name in ("home", "tmp", "here", "cache"):
      (root / name).mkdir(parents=True)

  def run(self, *arguments):
    """Runs `vireid` with two devices to its end."""
    done = subprocess.run(
      [sys.executable, "-m", "vireid_jax", *map(str, arguments)],
      cwd=self.root / "here",
      env=processes.environment(2, **self.variables),
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

  def start(self, workdir, data_dir, *, until):
    """Starts two processes that train."""
    command = [sys.executable, "-m", "vireid_jax.main", f"--config={NAME}:smoke"]
    command += [f"--workdir={workdir}", f"--config.data.dir={data_dir}"]
    command += [f"--config.train.duration={LAST} steps", f"--config.checkpoint.every={SAVE} steps"]
    command += ["--config.log.every=1 step", f"--config.eval.every={EVALUATE} steps"]
    command += ["--config.eval.at_start=False"]
    return Group(command, until=until, cwd=self.root / "here", **self.variables)

  def written(self):
    """Returns the files below the folders of the place, by the first three parts of their path."""
    files = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
    return {"/".join(path.parts[:3]) for path in files}


def state(workdir, data_dir):
  """Returns the state of the last checkpoint."""
  config = config_files.smoke(NAME, data_dir)
  config.train.duration, config.checkpoint.every = f"{LAST} steps", f"{SAVE} steps"
  config.log.tensorboard = False
  config.eval.every, config.eval.at_start = f"{EVALUATE} steps", False
  run = train.build(config, workdir)
  return run.checkpoints.restore(LAST, run.abstract)


def results(path):
  return {name: each["trials"] for name, each in json.loads(path.read_text())["results"].items()}


def measured(workdir):
  """Returns the metrics without times, by step and names."""
  lines = metrics.read(workdir)
  kept = [{k: v for k, v in line.items() if not k.startswith(TIMED)} for line in lines]
  return sorted(kept, key=lambda line: (line["step"], *line))


def disturb(pod):
  """Trains in the bucket, taken away twice without notice and once with, and started again."""
  place = f"{BUCKET}/run", f"{BUCKET}/data"
  # First the member without the workdir's lock, then the one that holds it.
  for victim, until in ((1, 6), (0, 11)):
    group = pod.start(*place, until=until)
    assert group.seen.wait(timeout=1500)
    group.members[victim].kill()
    outcomes = group.finish()
    assert outcomes[victim][0] == -signal.SIGKILL, outcomes
    assert outcomes[1 - victim][0] != 0, outcomes
  group = pod.start(*place, until=17)
  assert group.seen.wait(timeout=1500)
  begun = time.monotonic()
  group.members[1].terminate()
  outcomes = group.finish()
  assert [code for code, _ in outcomes] == [75, 75], outcomes
  assert time.monotonic() - begun < NOTICE
  outcomes = pod.start(*place, until=LAST).finish()
  assert [code for code, _ in outcomes] == [0, 0], outcomes
  assert f"continuing {BUCKET}/run at step" in outcomes[0][1]


@pytest.mark.slow
def test_a_pods_run_in_a_bucket_equals_an_undisturbed_local_one(server, tmp_path, monkeypatch):
  service = bucket_server.environment(server)
  local, pod = Place(tmp_path / "local"), Place(tmp_path / "pod", **service)
  data, run = local.root / "data", local.root / "run"
  local.run("prepare", DATA, "--data_dir", data)
  pod.run("prepare", DATA, "--data_dir", f"{BUCKET}/data")
  outcomes = local.start(run, data, until=LAST).finish()
  assert [code for code, _ in outcomes] == [0, 0], outcomes
  disturb(pod)
  local.run("evaluate", "--workdir", run, "--config.eval.flip=True")
  pod.run("evaluate", "--workdir", f"{BUCKET}/run", "--config.eval.flip=True")
  assert pod.written() - {"home/.cache/vireid_jax"} == {"cache/vireid_jax/buckets"}

  for name, value in (service | {"XDG_CACHE_HOME": str(tmp_path / "cache")}).items():
    monkeypatch.setenv(name, value)
  bucket_server.forget()
  there = paths.path(f"{BUCKET}/run")
  jax.tree.map(np.testing.assert_array_equal, state(run, data), state(there, f"{BUCKET}/data"))
  for name in (f"{LAST:07d}", f"{LAST:07d}.flip", f"{EVALUATE:07d}"):
    record = f"eval/step_{name}.json"
    assert results(run / record) == results(there / record)
  assert measured(run) == measured(there)
  assert (run / workdir_files.PARAMETERS).read_bytes() == (
    there / workdir_files.PARAMETERS
  ).read_bytes()
  assert not (there / workdir_files.LOCK).exists()
