"""The documented walk-through on the command line, from images on disk, for each data set.

Each step is a process of its own, as a user runs it: write a tree in the owner's layout, prepare
it, train with the data set's AGW config and small overrides, stop by signal, continue, evaluate.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SMALL = (
  "--config.data.image_size=(48,24)",
  "--config.sampler.num_identities=4",
  "--config.sampler.num_instances=2",
  "--config.method.depth=18",
  "--config.method.width=8",
  "--config.eval.batch=32",
  "--config.eval.protocol.trials=2",
  "--config.log.every=1 step",
)
SYSU = {
  f"{mode}/{shots}-shot/{gallery}"
  for mode in ("all", "indoor")
  for shots in (1, 10)
  for gallery in ("random_choice", "official")
}
BOTH = {"visible_to_infrared", "infrared_to_visible"}


@pytest.fixture
def environment(tmp_path):
  return {**os.environ, "TFDS_DATA_DIR": str(tmp_path / "prepared"), "PYTHONPATH": str(ROOT)}


def call(environment, *arguments):
  command = [sys.executable, "-m", *arguments]
  done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


def train_until_stopped(environment, arguments):
  """Starts an endless training and asks it to stop after its first logged step."""
  command = [sys.executable, "-m", "vireid_jax.main", *arguments]
  options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
  with subprocess.Popen(command, env=environment, cwd=ROOT, **options) as process:
    lines = []
    for line in process.stdout:
      lines.append(line)
      if line.startswith("step "):
        process.send_signal(signal.SIGTERM)
        break
    lines += process.stdout.readlines()
    process.wait(timeout=120)
  return process.returncode, "".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize(
  "dataset, config, settings",
  [("sysu_mm01", "agw_sysu", SYSU), ("regdb", "agw_regdb", BOTH), ("llcm", "agw_llcm", BOTH)],
)
def test_from_the_owners_tree_to_an_evaluated_checkpoint(
  dataset, config, settings, environment, tmp_path
):
  tree, workdir = str(tmp_path / "tree"), tmp_path / "run"
  call(environment, "vireid_jax.synthesize", dataset, "--out", tree, "--preset", "smoke")
  call(environment, "vireid_jax.prepare", dataset, "--manual_dir", tree)
  small = [flag for flag in SMALL if dataset != "regdb" or "trials" not in flag]
  arguments = ["--config", f"configs/{config}.py", "--workdir", str(workdir), *small]

  code, output = train_until_stopped(
    environment, [*arguments, "--config.train.duration=100000 steps"]
  )
  assert code == 75, output
  assert "the state is saved. The same command continues." in output
  stopped_at = int(output.rpartition("at step ")[2].split(";")[0])

  last = stopped_at + 2
  output = call(environment, "vireid_jax.main", *arguments, f"--config.train.duration={last} steps")
  assert f"at step {stopped_at} of {last}" in output
  path = workdir / "eval" / f"step_{last:07d}.json"
  trained = json.loads(path.read_text())["results"]
  assert set(trained) == settings

  path.unlink()
  output = call(environment, "vireid_jax.main", *arguments, "--mode=evaluate")
  assert "synthetic images" in output
  evaluated = json.loads(path.read_text())["results"]
  assert {k: v["trials"] for k, v in evaluated.items()} == {
    k: v["trials"] for k, v in trained.items()
  }


def test_command_line_errors_say_what_to_do(environment, tmp_path):
  """Two processes only: each costs the import of jax."""
  cases = (
    (["--config", "configs/agw_synthetics.py"], "did you mean 'configs/agw_synthetic.py'"),
    (
      ["--config", "configs/agw_synthetic.py", "--config.optim.lrr=1"],
      "did you mean config.optim.lr?",
    ),
  )
  for arguments, message in cases:
    command = [sys.executable, "-m", "vireid_jax.main", "--workdir", str(tmp_path), *arguments]
    started = time.time()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --config") and message in done.stderr
    assert "Traceback" not in done.stderr
    assert time.time() - started < 120
