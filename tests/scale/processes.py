"""Starting Python processes with a chosen number of CPU devices."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
HERE = pathlib.Path(__file__).parent


def environment(devices=1, **changes):
  """Returns the environment of a process with so many devices."""
  flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
  path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
  return os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": path} | changes


def start(script, *arguments, devices=1, **changes):
  """Starts tests/scale/<script>; its output is read as text."""
  return subprocess.Popen(
    [sys.executable, str(HERE / script), *map(str, arguments)],
    env=environment(devices, **changes),
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def call(script, *arguments, **options):
  """Runs tests/scale/<script> to its end; returns its standard output."""
  process = start(script, *arguments, **options)
  output, errors = process.communicate()
  assert process.returncode == 0, output + errors
  return output
