"""PMT against the authors' code: modules, features, training steps, names."""

import functools

import golden_models
import golden_training
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import methods
from vireid_jax.methods.pmt import PMT
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.vit import ViT
from vireid_jax.training import optim

EPSILON = np.finfo(np.float32).eps
WITHOUT_CHANCE = {"stride": 12, "dropout": 0.0, "drop_path": 0.0, "epsilon": 1e-5}
# Our terms in the order of the references' columns, and their weights.
TERMS = {"identity": 1.0, "triplet": 1.0, "dcl": 0.5, "msel": 0.5}
MULTIPLIERS = {"patch_embed": 0.5, "blocks": 0.5}  # those of the configs


def small_vit(dtype, conv_impl):
  """Returns the reference's small Transformer and its variables."""
  reference = golden_models.load("pmt_modules")
  network = ViT(
    heads=int(reference["num_heads"]),
    width=int(reference["embed_dim"] // reference["num_heads"]),
    depth=int(reference["depth"]),
    stride=12,
    epsilon=float(reference["layer_norm_eps"]),
    numerics=Numerics(dtype, conv_impl),
  )
  shapes = jax.eval_shape(
    lambda: network.init(jax.random.key(0), jnp.zeros((1, 40, 28, 3)), train=False)
  )
  names = reference["weight_names"]
  weights = {str(name): golden_models.draw(str(name), golden_shape(name)) for name in names}
  shapes = {"params": {"backbone": shapes["params"]}}
  variables, ignored = convert.import_weights(shapes, weights, convert.name_table("pmt"))
  assert not ignored
  return network, {"params": variables["params"]["backbone"]}


def golden_shape(name):
  reference = golden_models.load("pmt_modules")
  shapes = dict(zip(reference["weight_names"], reference["weight_shapes"], strict=True))
  return tuple(int(side) for side in str(shapes[name]).strip("[]").split(","))


def close(ours, theirs, tolerance=1e-9):
  assert np.abs(np.asarray(ours) - theirs).max() <= tolerance * np.abs(theirs).max()


@pytest.mark.parametrize("conv_impl", ["xla", "dot"])
def test_small_transformer_equals_the_authors_in_float64(conv_impl):
  reference = golden_models.load("pmt_modules")
  with jax.enable_x64(True):
    network, variables = small_vit("float64", conv_impl)
    images = jnp.asarray(golden_models.images(reference["images_nchw"], np.float64))
    cotangent = reference["cotangent"].astype(np.float64)

    @jax.jit
    def compute(variables, images):
      patches = network.apply(variables, images, method=lambda m, x: m.patch_embed(x))
      output, pull = jax.vjp(lambda v, x: network.apply(v, x, train=False), variables, images)
      return patches, output, pull(jnp.asarray(cotangent))

    patches, output, (gradients, by_images) = compute(variables, images)
  close(patches.reshape(3, -1, 96), reference["patch_embedding"])
  close(output, reference["output_class_token"])
  close(by_images, golden_models.images(reference["input_grad"], np.float64))
  names = convert.export_weights(
    {"params": {"backbone": gradients["params"]}}, convert.name_table("pmt")
  )
  assert names.keys() == {str(name) for name in reference["weight_names"]}
  for name, gradient in names.items():
    close(np.linalg.norm(gradient), reference[f"grad_norm.{name}"], 1e-8)
    if f"grad.{name}" in reference:
      close(gradient, reference[f"grad.{name}"], 1e-8)


def test_one_block_equals_the_authors_in_float64():
  reference = golden_models.load("pmt_modules")
  with jax.enable_x64(True):
    network, variables = small_vit("float64", "dot")

    @jax.jit
    def compute(tokens, cotangent):
      def apply(x):
        return network.apply(variables, x, method=lambda m, x: m.blocks(x, train=False, last=1))

      output, pull = jax.vjp(apply, tokens)
      return output, *pull(cotangent)

    inputs = [jnp.asarray(reference[key], jnp.float64) for key in ("tokens", "tokens_cotangent")]
    output, gradient = compute(*inputs)
  close(output, reference["block0_output"])
  close(gradient, reference["block0_input_grad"])


def official(dtype, **options):
  # Neither dropout nor chance: the references were made without.
  return golden_models.official("pmt", dtype, "dot", vit=WITHOUT_CHANCE, **options)


def embed(dtype, feature):
  reference = golden_models.load("pmt_features")
  method, variables, _ = official(dtype, size=(256, 128), feature=feature)
  images = golden_models.images(reference["images_nchw"], dtype)
  return np.asarray(jax.jit(lambda v, x: method.embed(v, x, "visible"))(variables, images))


@pytest.mark.slow
@pytest.mark.parametrize(
  "feature, key", [("after_neck", "features"), ("before_neck", "class_token")]
)
class TestFeatures:
  def test_float32_within_1e_4(self, feature, key):
    ours, theirs = embed("float32", feature), golden_models.load("pmt_features")[key]
    ours = golden_models.unit(ours) if key == "features" else ours
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()

  def test_float64_to_the_precision_of_the_file(self, feature, key):
    with jax.enable_x64(True):
      ours = embed("float64", feature)
    assert ours.dtype == np.float64
    theirs = golden_models.load("pmt_features")[key]
    ours = golden_models.unit(ours) if key == "features" else ours
    np.testing.assert_allclose(ours, theirs, rtol=EPSILON)
    # A relative difference of 1e-9 would round about one number in a hundred to another float32.
    assert np.mean(ours.astype(np.float32) != theirs) < 1e-9 / EPSILON


def adamw(reference):
  config = {"name": "adamw", "weight_decay": float(reference["weight_decay"]), "no_decay": ()}
  assert float(reference["lr_pretrain_factor"]) == MULTIPLIERS["blocks"]
  config["lr_multipliers"] = MULTIPLIERS
  return optim.create(config, lambda step: jnp.asarray(float(reference["base_lr"])))


def train(dtype, steps):
  """Trains as the reference did: one step of stage 1, the rest of stage 2, images as stored."""
  reference = golden_models.load("pmt_trajectory")
  batches = list(golden_models.pair_batches(reference, dtype))[:steps]
  with pytest.MonkeyPatch.context() as patch:
    patch.delattr(PMT, "mix")  # the stored images are normalised, and in colour
    return golden_training.train(
      "pmt",
      reference,
      batches,
      adamw(reference),
      dtype=dtype,
      size=(64, 40),
      resized={"base.pos_embed": (1, 16, 768)},
      vit=WITHOUT_CHANCE,
      gray_until="1 step",
    )


@functools.cache
def three_steps():
  with jax.enable_x64(True):
    return train("float64", 3)


@pytest.mark.slow
class TestTrajectory:
  def test_every_loss_of_three_steps_in_float64(self):
    reference = golden_models.load("pmt_trajectory")
    assert list(reference["stage"]) == [1, 2, 2]
    losses = three_steps().losses(TERMS)
    np.testing.assert_allclose(losses, reference["losses"], rtol=1e-6, atol=1e-12)

  def test_features_after_three_steps(self):
    reference = golden_models.load("pmt_trajectory")
    places = {"eval_features": "after_neck", "eval_class_token": "before_neck"}
    for key, place in places.items():
      with jax.enable_x64(True):
        ours = three_steps().features(reference["eval_images_nchw"], "visible", place)
      ours = golden_models.unit(ours) if key == "eval_features" else ours
      close(ours, reference[key], 1e-6)

  def test_norms_of_first_gradients_and_last_tensors(self):
    reference = golden_models.load("pmt_trajectory")
    golden_training.assert_gradient_norms(three_steps(), "pmt", reference, rtol=1e-7)
    golden_training.assert_final_norms(three_steps(), "pmt", reference, rtol=1e-7)

  def test_first_step_in_float32(self):
    reference = golden_models.load("pmt_trajectory")
    losses = train("float32", 1).losses(TERMS)
    np.testing.assert_allclose(losses, reference["losses"][:1], rtol=1e-4)


def test_names_go_there_and_back():
  weights = {
    name: np.broadcast_to(np.float32(index), shape)
    for index, (name, shape) in enumerate(golden_models.shapes("pmt").items())
  }
  table = convert.name_table("pmt")
  method = methods.create({"name": "pmt"}, num_classes=golden_models.CLASSES, steps_per_epoch=5)
  shapes = golden_models.abstract(method, (256, 128))
  variables, ignored = convert.import_weights(shapes, weights, table)
  assert ignored == ["bottleneck.num_batches_tracked"]
  exported = convert.export_weights(variables, table)
  assert exported.keys() == weights.keys() - set(ignored)
  for name, value in exported.items():
    np.testing.assert_array_equal(value, weights[name], strict=True)
