"""Whatever uses a checkpoint sees pictures as its training did."""

import numpy as np
import pytest
from toys import config as toy_config

import vireid_jax
from vireid_jax.evaluators.embed import Embedder, feature_methods
from vireid_jax.experiment import train
from vireid_jax.report.page import network, runs

SIZE, RESIZE = (40, 20), "bilinear"  # which no config file says


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
  config = toy_config.smoke(data_dir)
  config.data.image_size, config.data.resize = SIZE, RESIZE
  config.train.duration = "1 step"
  workdir = tmp_path_factory.mktemp("runs") / "linear"
  train.train(config, workdir)
  return workdir


def test_a_loaded_model_embeds_at_the_size_of_its_training(trained):
  model = vireid_jax.load(trained, normalize=False)
  assert (model.image_size, model.trained.resize) == (SIZE, RESIZE)
  pictures = np.random.default_rng(0).integers(0, 256, (3, 70, 30, 3), np.uint8)
  found = model.embed(pictures, "visible")
  resized = np.stack([_as_training_does(picture) for picture in pictures])
  kept = model.trained
  embedder = Embedder(
    feature_methods(kept.method, ()),
    kept.mesh,
    size=SIZE,
    resize=RESIZE,
    operations=kept.operations,
    batch=4,
  )
  expected = embedder.embed_pixels(kept.variables, "visible", resized)["after_neck"][:3]
  np.testing.assert_array_equal(found, expected)


def _as_training_does(picture):
  from PIL import Image

  image = Image.fromarray(picture).resize(SIZE[::-1], Image.Resampling.BILINEAR)
  return np.asarray(image)


def test_the_page_of_a_run_embeds_at_the_size_of_its_training(trained):
  (run,) = runs.find([str(trained)], step=None)
  embedded = network.embed(run)
  assert embedded.pixels(np.array([0])).shape == (1, *SIZE, 3)
  assert len(embedded.features) == len(embedded.records)
