"""Trains on 4 devices and continues its checkpoint on 1 and on 8; run by test_device_counts.

Prints one JSON line: per count of devices the final parameters' largest difference from the run
that stayed on 4 devices, and the final mAP.
"""

import contextlib
import io
import json
import pathlib
import shutil
import sys

import jax
import numpy as np
from toys import config as toy_config

from vireid_jax.experiment import train
from vireid_jax.runtime import mesh as mesh_lib

make_mesh = mesh_lib.make_mesh


def train_on(count, data_dir, workdir, steps):
  """Trains to a step on the first `count` devices; returns (parameters, mAP)."""
  mesh_lib.make_mesh = lambda: make_mesh(jax.devices()[:count])
  config = toy_config.make(data_dir, steps=steps)
  results = train.train(config, workdir)
  run = train.build(config, workdir)
  state = run.checkpoints.restore(steps, run.abstract)
  assert all(leaf.sharding.mesh.size == count for leaf in jax.tree.leaves(state))
  (result,) = results.values()
  return jax.tree.map(np.asarray, state.params), result.mean["mAP"]


def main(data_dir, root):
  """Prints the comparison."""
  root = pathlib.Path(root)
  found = {}
  with contextlib.redirect_stdout(io.StringIO()):
    train_on(4, data_dir, root / "first", 2)
    for count in (4, 1, 8):
      shutil.copytree(root / "first", root / str(count))
      found[count] = train_on(count, data_dir, root / str(count), 4)
  differences = {
    count: max(
      float(np.abs(a - b).max())
      for a, b in zip(*map(jax.tree.leaves, (params, found[4][0])), strict=True)
    )
    for count, (params, _) in found.items()
  }
  print(json.dumps({"differences": differences, "mAP": {k: v[1] for k, v in found.items()}}))


if __name__ == "__main__":
  main(*sys.argv[1:])
