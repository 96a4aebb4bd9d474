"""MCJA against the authors' code: MDA, features, three training steps, tensors there and back."""

import dataclasses
import functools
import json

import golden_models
import golden_training
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import methods
from vireid_jax.methods.mcja.mda import MDA
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.training import optim

TERMS = {"identity": 1.0, "retrieval": 1.0}
OPTIONS = {"mcja": {}, "mcja_regdb": {"num_contexts": 12}}
CONTEXTS = {"MDA_m2": 2, "MDA_m12": 12}


def table_for(name):
  """Returns MCJA's table, for the paths and names of one block."""
  table = convert.name_table("mcja")

  def rule(path):
    full = table.rule((path[0], "backbone", "layer2", "non_local0", *path[1:]))
    return full and full.replace("MDA_2.0", name)

  return dataclasses.replace(table, rule=rule)


def run(name, train):
  """Returns (output, input's gradient, gradients by the authors' names, updated statistics)."""
  file = golden_models.load("mcja_modules")
  module = MDA(CONTEXTS[name], Numerics("float64", unbiased_variance=True))
  named = zip(file["weight_names"], file["weight_shapes"], strict=True)
  drawn = {
    key: golden_models.draw(key, tuple(json.loads(shape)))
    for key, shape in named
    if key.startswith(f"{name}.") and not key.endswith("num_batches_tracked")
  }
  x, cotangent = (
    golden_models.images(file[f"MDA_{k}"], np.float64) for k in ("input", "cotangent")
  )
  shapes = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), x)
  variables, _ = convert.import_weights(shapes, drawn, table_for(name))

  def forward(params, x):
    everything = {"params": params, "batch_stats": variables["batch_stats"]}
    return module.apply(everything, x, train=train, mutable=["batch_stats"])

  @jax.jit
  def compute(params, x):
    output, pull, updates = jax.vjp(forward, params, x, has_aux=True)
    return output, *pull(jnp.asarray(cotangent)), updates

  output, by_params, by_input, updates = compute(variables["params"], x)
  exported = [
    convert.export_weights(jax.tree.map(np.asarray, dict(tree)), table_for(name))
    for tree in ({"params": by_params}, updates)
  ]
  return output, by_input, *exported


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", CONTEXTS)
def test_mda_equals_the_authors(name, mode):
  file = golden_models.load("mcja_modules")

  def assert_near(ours, key):
    theirs, ours = file[key], np.asarray(ours)
    assert ours.dtype == np.float64
    # A bias before a softmax has no gradient; what is stored of it is rounding.
    limit = 1e-12 if key.endswith("sc_conv.bias") else 1e-9 * np.abs(theirs).max()
    assert np.abs(ours - theirs).max() <= limit, key

  with jax.enable_x64(True):
    output, by_input, by_params, updates = run(name, mode == "train")
  assert_near(output.transpose(0, 3, 1, 2), f"{name}_{mode}_output")
  assert_near(by_input.transpose(0, 3, 1, 2), f"{name}_{mode}_input_grad")
  assert len(by_params) == 7 and len(updates) == 4
  for tensor, ours in by_params.items():
    assert_near(ours, f"{name}_{mode}_grad.{tensor}")
  for tensor, ours in updates.items():
    if mode == "train":
      assert_near(ours, f"{name}_train_buffer.{tensor}")


def embed(dtype):
  file = golden_models.load("mcja_features")
  method, variables, _ = golden_models.official("mcja", dtype, "xla")
  images = golden_models.images(file["images_nchw"], dtype)
  function = jax.jit(functools.partial(method.embed, modality="visible"))
  return np.asarray(function(variables, images)), file["features"]


@pytest.mark.slow
def test_features_in_float32():
  ours, theirs = embed("float32")
  assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.slow
def test_features_in_float64_to_the_precision_of_the_file():
  with jax.enable_x64(True):
    ours, theirs = embed("float64")
  epsilon = np.finfo(np.float32).eps
  assert ours.dtype == np.float64
  np.testing.assert_allclose(ours, theirs, rtol=epsilon)
  # A relative difference of 1e-9 would round about one number in a hundred to another float32.
  assert np.mean(ours.astype(np.float32) != theirs) < 1e-9 / epsilon


def batches(reference):
  """Pairs the rows of an identity, whatever their modality; cameras 3 and 6 are infrared."""
  columns = ("images_nchw", "labels", "cams")
  for images, labels, cameras in zip(*(reference[name] for name in columns), strict=True):
    images = golden_models.images(images, np.float64)
    np.testing.assert_array_equal(labels[::2], labels[1::2])
    infrared = np.isin(cameras, (3, 6)).astype(np.int32)
    yield {
      "visible": images[::2],
      "infrared": images[1::2],
      "label": labels[::2].astype(np.int32),
      "modality": infrared.reshape(-1, 2),
    }


@functools.cache
def trained():
  reference = golden_models.load("mcja_trajectory")
  config = {"name": "adam", "weight_decay": float(reference["weight_decay"])}
  config |= {"no_decay": (), "lr_multipliers": {}}
  with jax.enable_x64(True):
    optimizer = optim.create(config, lambda step: jnp.asarray(float(reference["lr"])))
    return golden_training.train("mcja", reference, batches(reference), optimizer)


@pytest.mark.slow
def test_three_steps_in_float64():
  reference, run = golden_models.load("mcja_trajectory"), trained()
  np.testing.assert_allclose(run.losses(TERMS), reference["losses"], rtol=1e-6)
  with jax.enable_x64(True):
    ours = run.features(reference["eval_images_nchw"], "visible")
  theirs = reference["eval_features"]
  assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


@pytest.mark.slow
def test_gradients_of_the_first_step_and_weights_after_the_last():
  reference, run = golden_models.load("mcja_trajectory"), trained()
  golden_training.assert_gradient_norms(run, "mcja", reference, rtol=1e-6)
  golden_training.assert_final_norms(run, "mcja", reference, rtol=1e-6)


@pytest.mark.parametrize("model", OPTIONS)
def test_official_tensors_there_and_back_bit_equal(model):
  method = methods.create(
    {"name": "mcja", **OPTIONS[model]}, num_classes=golden_models.CLASSES, steps_per_epoch=1
  )
  table, shapes = convert.name_table("mcja"), golden_models.shapes(model).items()
  official = {key: np.broadcast_to(np.float32(n), shape) for n, (key, shape) in enumerate(shapes)}
  variables, ignored = convert.import_weights(golden_models.abstract(method), official, table)
  back = convert.export_weights(variables, table)
  assert not set(ignored) & set(back) and set(ignored) | set(back) == set(official)
  for name, value in back.items():
    np.testing.assert_array_equal(value, official[name], strict=True)
  unused = [name for name in ignored if not name.endswith("num_batches_tracked")]
  assert unused == ["backbone.fc.weight", "backbone.fc.bias"]
