"""SAAI against its authors' code: the part module, features, training steps, names."""

import functools
import json

import golden_models
import golden_training
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.methods.saai.safl import SAFL
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.training import optim

EPSILON = np.finfo(np.float32).eps
SIZE = (288, 144)  # the position embedding fits no other
VARIANTS = {"saai": {}, "saai_regdb": {"mam": False}}
# Our terms and their weights: 'identity' is the reference's 'ce_all', its 'id_sum' is of four.
TERMS = {"identity": 1.0, "center_separation": 1.0, "part_diversity": 0.25 / 0.5}
IDENTITIES = ("identity", "visible_identity", "infrared_identity", "mutual")


def official(name, dtype, **options):
  return golden_models.official(
    "saai", dtype, "dot", model=name, size=SIZE, **VARIANTS[name], **options
  )


@pytest.mark.parametrize("name", VARIANTS)
def test_names_go_there_and_back(name):
  weights = golden_models.state_dict(name)
  _, variables, ignored = official(name, "float32", as_published=False)
  exported = convert.export_weights(variables, convert.name_table("saai"))
  assert exported.keys() | set(ignored) == weights.keys()
  for key, value in exported.items():
    np.testing.assert_array_equal(value, weights[key], strict=True)
  # 53 norms of the ResNet and two necks.
  assert len(ignored) == 55
  assert all(key.endswith("num_batches_tracked") for key in ignored)
  assert convert.name_table("saai").ignores("backbone.fc.weight")


def test_the_published_loader_leaves_averages_in_the_modality_classifiers():
  _, variables, _ = official("saai", "float32")
  for side in ("visible", "infrared"):
    np.testing.assert_array_equal(
      variables["params"]["modality_classifiers"][side],
      golden_models.draw(f"{side}_classifier_.weight", (10, 16_384)).T,
    )


def test_part_module_and_its_gradients():
  golden = golden_models.load("saai_modules")
  drawn = {
    str(name): golden_models.draw(str(name), json.loads(shape)).T
    for name, shape in zip(golden["weight_names"], golden["weight_shapes"], strict=True)
  }
  tokens, positions = "attn_pool.part_tokens", "attn_pool.pos_embeding"
  with jax.enable_x64(True):
    module = SAFL(7, Numerics("float64"))
    x = jnp.asarray(golden["SAFL_input"].transpose(0, 2, 3, 1), jnp.float64)
    params = {"prototypes": jnp.float64(drawn[tokens]), "position": jnp.float64(drawn[positions])}

    def loss(params, x):
      feature, attention = module.apply({"params": params}, x)
      maps = attention.reshape(2, 162, 7).swapaxes(1, 2)
      total = jnp.sum(feature[:, :14_336] * golden["SAFL_cotangent"])
      return total + jnp.sum(maps * golden["SAFL_cotangent_attention"]), (feature, maps)

    gradient = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    (by_params, by_input), (feature, maps) = jax.device_get(gradient(params, x))
  np.testing.assert_allclose(maps, golden["SAFL_attention"], rtol=1e-9)
  assert_close(feature[:, :14_336], golden["SAFL_output"], EPSILON)
  np.testing.assert_allclose(feature[:, 14_336:], np.asarray(x).mean(axis=(1, 2)), atol=1e-12)
  channels = by_input.transpose(0, 3, 1, 2)
  assert_close(channels[:, ::16], golden["SAFL_input_grad_every_16th_channel"], 1e-9)
  np.testing.assert_allclose(np.linalg.norm(channels), golden["SAFL_input_grad_norm"], rtol=1e-9)
  assert_close(by_params["prototypes"].T, golden[f"SAFL_grad.{tokens}"], 1e-6)
  own = by_params["position"]
  assert_close(own.T[:, ::16], golden[f"SAFL_grad.{positions}_every_16th_channel"], 1e-6)
  np.testing.assert_allclose(np.linalg.norm(own), golden[f"SAFL_grad_norm.{positions}"], rtol=1e-9)


def assert_close(ours, theirs, share):
  assert np.abs(ours - theirs).max() <= share * np.abs(theirs).max()


def embed(method, variables, images, dtype):
  """Returns features of two visible and two infrared images."""
  images = golden_models.images(images, dtype)

  @jax.jit
  def both(variables, images):
    visible = method.embed(variables, images[:2], "visible")
    return jnp.concatenate([visible, method.embed(variables, images[2:], "infrared")])

  return np.asarray(both(variables, images))


@pytest.mark.slow
class TestFeatures:
  def test_float32_within_1e_4(self):
    reference = golden_models.load("saai_features")
    method, variables, _ = official("saai", "float32")
    ours = embed(method, variables, reference["images_nchw"], "float32")
    assert_close(ours, reference["features"], 1e-4)

  def test_float64_to_the_precision_of_the_file(self):
    reference = golden_models.load("saai_features")
    with jax.enable_x64(True):
      method, variables, _ = official("saai", "float64")
      ours = embed(method, variables, reference["images_nchw"], "float64")
    assert ours.dtype == np.float64
    assert_close(ours, reference["features"], EPSILON)
    # A relative difference of 1e-9 would round about one number in a hundred to another float32.
    assert np.mean(ours.astype(np.float32) != reference["features"]) < 1e-9 / EPSILON


def batches(reference, dtype):
  """Splits the authors' mixed batches by camera; 3 and 6 are infrared."""
  columns = ("images_nchw", "labels", "cams")
  for images, labels, cameras in zip(*(reference[name] for name in columns), strict=True):
    infrared = np.isin(cameras, (3, 6))
    np.testing.assert_array_equal(labels[~infrared], labels[infrared])
    images = golden_models.images(images, dtype)
    yield {
      "visible": images[~infrared],
      "infrared": images[infrared],
      "label": labels[infrared].astype(np.int32),
    }


def train(dtype, steps=3):
  reference = golden_models.load("saai_trajectory")
  config = {"name": "adam", "weight_decay": float(reference["weight_decay"])}
  config |= {"no_decay": (), "lr_multipliers": {}}
  rule = optim.create(config, lambda step: jnp.asarray(float(reference["lr"])))
  return golden_training.train(
    "saai",
    reference,
    list(batches(reference, dtype))[:steps],
    rule,
    dtype=dtype,
    size=SIZE,
    as_published=False,
  )


@functools.cache
def three_steps():
  with jax.enable_x64(True):
    return train("float64")


def losses_of(trained):
  """Returns the reference's columns: the total, the sum of identities, and our terms."""
  values = trained.losses(TERMS)
  identities = [sum(step[f"loss/{name}"] for name in IDENTITIES) for step in trained.scalars]
  return np.column_stack([values[:, 0], identities, values[:, 1:]])


@pytest.mark.slow
class TestTrajectory:
  def test_every_loss_of_three_steps_in_float64(self):
    reference = golden_models.load("saai_trajectory")
    np.testing.assert_allclose(losses_of(three_steps()), reference["losses"], rtol=1e-6)

  def test_features_after_three_steps(self):
    reference = golden_models.load("saai_trajectory")
    with jax.enable_x64(True):
      trained = three_steps()
      images = reference["eval_images_nchw"]
      ours = embed(trained.method, trained.variables, images, np.float64)
    assert_close(ours, reference["eval_features"], 1e-5)

  def test_norms_of_gradients_and_of_tensors_after_three_steps(self):
    reference = golden_models.load("saai_trajectory")
    golden_training.assert_gradient_norms(three_steps(), "saai", reference, rtol=1e-6)
    golden_training.assert_final_norms(three_steps(), "saai", reference, rtol=1e-6)

  def test_first_step_in_float32(self):
    reference = golden_models.load("saai_trajectory")
    losses = losses_of(train("float32", steps=1))
    np.testing.assert_allclose(losses, reference["losses"][:1], rtol=1e-4)
