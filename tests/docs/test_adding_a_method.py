"""The guide 'adding a method in one file', followed to the letter in a folder of its own."""

import json
import os
import subprocess
import sys

import guides
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import config as config_lib
from vireid_jax.config import checks
from vireid_jax.config.parts import make_method

GUIDE = "adding_a_method.md"
METHOD, CONFIG = "my_methods/centers.py", "centers_synthetic.py"


@pytest.fixture
def folder(tmp_path):
  """What a reader has after saving the guide's files."""
  for name, content in guides.files(GUIDE).items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content, encoding="utf-8")
  assert sorted(guides.files(GUIDE)) == sorted([METHOD, CONFIG])
  return tmp_path


def test_the_files_of_the_guide_are_a_method_and_a_config(folder, monkeypatch):
  monkeypatch.syspath_prepend(folder)
  config = config_lib.load(f"{folder / CONFIG}:smoke")
  checks.validate(config)
  assert config_lib.load(f"{folder / CONFIG}:identity").method.weight == 0
  method = make_method(config, num_classes=4, steps_per_epoch=9)
  images = jax.ShapeDtypeStruct((8, 48, 24, 3), jnp.float32)
  batch = {"visible": images, "infrared": images, "label": jax.ShapeDtypeStruct((8,), jnp.int32)}
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  output = jax.eval_shape(
    lambda v, b: method.loss(v, b, rngs=jax.random.key(1), step=jnp.int32(0)), variables, batch
  )
  assert set(output.terms) == {"identity", "center"}
  feature = jax.eval_shape(lambda v, x: method.embed(v, x, "visible"), variables, images)
  assert feature.shape == (8, 64) and feature.dtype == jnp.float32


def test_the_loss_of_the_guide_is_the_distance_of_centers(folder, monkeypatch):
  monkeypatch.syspath_prepend(folder)
  from my_methods.centers import center_distance

  rng, labels = np.random.default_rng(0), np.array([0, 1, 0, 2, 1, 0])
  visible, infrared = rng.normal(size=(2, 6, 5)).astype(np.float32)
  each = [np.square((visible - infrared)[labels == label].mean(axis=0)).sum() for label in labels]
  found = center_distance(jnp.asarray(visible), jnp.asarray(infrared), jnp.asarray(labels))
  np.testing.assert_allclose(found, np.mean(each), rtol=1e-5)


@pytest.mark.slow
def test_the_commands_of_the_guide_train_three_steps_and_evaluate(folder, data_dir):
  paths = {"PYTHONPATH": str(guides.ROOT), "TFDS_DATA_DIR": str(data_dir)}
  found = guides.commands(GUIDE)
  assert [arguments[-1] for arguments in found] == [
    "--config.train.duration=3 steps",
    "--mode=evaluate",
  ]
  for arguments in found:
    done = subprocess.run(
      [sys.executable, *arguments],
      cwd=folder,
      env={**os.environ, **paths},
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
  workdir = folder / "runs" / "centers"
  rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
  centers = [row["loss/center"] for row in rows if "loss/center" in row]
  assert centers and np.isfinite(centers).all()
  record = json.loads((workdir / "eval" / "step_0000003.json").read_text())
  assert record["method"] == "my_methods.centers"
  assert 0 < record["results"]["all/1-shot/random_choice"]["mean"]["mAP"] <= 1
