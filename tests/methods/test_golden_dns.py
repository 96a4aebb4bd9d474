"""DNS and its plain baseline against the authors' code: features, training steps, names."""

import functools

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import methods
from vireid_jax.methods import dns
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics
from vireid_jax.training import optim
from vireid_jax.training import state as state_lib
from vireid_jax.training import step as step_lib

VARIANTS = {"dns": {}, "dns_baseline": dns.VARIANTS["strong"]}
EPSILON = np.finfo(np.float32).eps
# Our terms in the order of the references' columns, and their weights.
TERMS = {"identity": 1.0, "circle": 1.0, "alignment": 0.2, "distillation": 1.0}
MULTIPLIERS = {"backbone": 0.1, "layer3": 0.2, "layer4": 0.25}  # those of the configs


def official(name, dtype, **options):
  """Returns the method and its variables, each tensor from its own draw, and what was left out."""
  method = methods.create(
    {"name": "dns", **VARIANTS[name], "dropout": 0.0, **options},
    num_classes=golden_models.CLASSES,
    steps_per_epoch=5,
    # Double precision runs faster through XLA's own convolution, in unoptimised code above all.
    numerics=Numerics(dtype, "xla", unbiased_variance=True),
  )
  variables, ignored = convert.import_weights(
    golden_models.abstract(method), golden_models.state_dict(name), convert.name_table("dns")
  )
  return method, variables, ignored


def embed(method, variables, images, dtype):
  """Returns L2-normalised features of two visible and two infrared images."""
  images = golden_models.images(images, dtype)

  @jax.jit
  def embed_both(variables, images):
    visible, infrared = images[:2], images[2:]
    return jnp.concatenate(
      [
        method.embed(variables, visible, "visible"),
        method.embed(variables, infrared, "infrared"),
      ]
    )

  return golden_models.unit(np.asarray(embed_both(variables, images)))


def test_names_go_there_and_back():
  for name, unused in (("dns", 138), ("dns_baseline", 138)):
    weights = golden_models.state_dict(name)
    _, variables, ignored = official(name, "float32")
    exported = convert.export_weights(variables, convert.name_table("dns"))
    used = {key for key in weights if key not in ignored}
    assert exported.keys() == used
    for key in used:
      np.testing.assert_array_equal(exported[key], weights[key])
    counters = [key for key in ignored if key.endswith("num_batches_tracked")]
    lower = [key for key in ignored if key.startswith(("base.base.layer1.", "base.base.layer2."))]
    assert set(ignored) == {*counters, *lower}
    assert len(lower) == unused


def test_the_published_loader_leaves_averages_in_the_modality_classifiers():
  method, _, _ = official("dns", "float32")
  weights = golden_models.state_dict("dns")
  variables, _ = convert.import_weights(
    golden_models.abstract(method), weights, convert.name_table("dns"), as_published=True
  )
  for name in ("visible", "infrared"):
    np.testing.assert_array_equal(
      variables["params"]["modality_classifiers"][name], weights[f"DD.{name}_classifier_.weight"].T
    )


@pytest.mark.slow
@pytest.mark.parametrize("feature, key", [("after_neck", "bn"), ("before_neck", "pool")])
@pytest.mark.parametrize("name", VARIANTS)
class TestFeatures:
  def test_float32_within_1e_4(self, name, feature, key):
    reference = golden_models.load(f"{name}_features")
    method, variables, _ = official(name, "float32", feature=feature)
    ours = embed(method, variables, reference["images_nchw"], "float32")
    assert np.abs(ours - reference[key]).max() <= 1e-4 * np.abs(reference[key]).max()

  def test_float64_to_the_precision_of_the_file(self, name, feature, key):
    reference = golden_models.load(f"{name}_features")
    with jax.enable_x64(True):
      method, variables, _ = official(name, "float64", feature=feature)
      ours = embed(method, variables, reference["images_nchw"], "float64")
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, reference[key], rtol=EPSILON)
    # A relative difference of 1e-9 would round about one number in a hundred to another float32.
    assert np.mean(ours.astype(np.float32) != reference[key]) < 1e-9 / EPSILON


def optimizer(reference):
  config = {"name": "sgd", "momentum": 0.9, "nesterov": True, "no_decay": ()}
  config["weight_decay"] = float(reference["weight_decay"])
  config["lr_multipliers"] = MULTIPLIERS
  return optim.create(config, lambda step: jnp.asarray(float(reference["lr"])))


def run(name, dtype, steps):
  """Trains the official weights for some steps; returns the method, the state and scalars."""
  reference = golden_models.load(f"{name}_trajectory")
  method, variables, _ = official(name, dtype)
  rule = optimizer(reference)
  step = jax.jit(step_lib.make_train_step(method, rule, lambda key, batch: batch, seed=0))
  state = state_lib.create(jax.tree.map(jnp.asarray, variables), rule)
  scalars = []
  for batch in list(golden_models.pair_batches(reference, dtype))[:steps]:
    state, values = step(state, batch)
    scalars.append(jax.device_get(values))
  return method, state, scalars


def losses_of(scalars):
  terms = {name: weight for name, weight in TERMS.items() if f"loss/{name}" in scalars[0]}
  return np.array(
    [
      [step["loss"], *(step[f"loss/{name}"] / weight for name, weight in terms.items())]
      for step in scalars
    ]
  )


@functools.cache
def three_steps(name):
  with jax.enable_x64(True):
    method, state, scalars = run(name, "float64", 3)
    images = golden_models.load(f"{name}_trajectory")["eval_images_nchw"]
    before = methods.create(
      {"name": "dns", **VARIANTS[name], "feature": "before_neck"},
      num_classes=golden_models.CLASSES,
      steps_per_epoch=5,
      numerics=method.numerics,
    )
    features = {
      "bn": embed(method, state.variables, images, np.float64),
      "pool": embed(before, state.variables, images, np.float64),
    }
  return losses_of(scalars), features, jax.device_get(state.variables)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
class TestTrajectory:
  def test_every_loss_of_three_steps_in_float64(self, name):
    reference = golden_models.load(f"{name}_trajectory")
    np.testing.assert_allclose(three_steps(name)[0], reference["losses"], rtol=1e-6)

  def test_features_after_three_steps(self, name):
    reference = golden_models.load(f"{name}_trajectory")
    for key, ours in three_steps(name)[1].items():
      theirs = reference[f"eval_{key}"]
      theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
      assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()

  def test_norm_of_every_tensor_after_three_steps(self, name):
    reference = golden_models.load(f"{name}_trajectory")
    expected = dict(zip(reference["final_names"], reference["final_norms"], strict=True))
    ours = convert.export_weights(three_steps(name)[2], convert.name_table("dns"))
    for key, value in ours.items():
      np.testing.assert_allclose(np.linalg.norm(value), expected[key], rtol=1e-6, err_msg=key)

  def test_norm_of_every_gradient_of_the_first_step(self, name):
    reference = golden_models.load(f"{name}_trajectory")
    expected = dict(zip(reference["step1_grad_names"], reference["step1_grad_norms"], strict=True))
    with jax.enable_x64(True):
      method, variables, _ = official(name, "float64")
      variables = jax.tree.map(jnp.asarray, variables)
      rest = {kind: values for kind, values in variables.items() if kind != "params"}
      batch = next(golden_models.pair_batches(reference, "float64"))

      def loss(params):
        keys = {"rngs": jax.random.key(0), "step": jnp.int32(0)}
        return method.loss({"params": params, **rest}, batch, **keys).loss

      gradients = {"params": jax.jit(jax.grad(loss))(variables["params"])}
      ours = convert.export_weights(gradients, convert.name_table("dns"))
    for key, value in ours.items():
      np.testing.assert_allclose(np.linalg.norm(value), expected[key], rtol=1e-6, err_msg=key)
    used = {key for key, norm in expected.items() if norm}
    assert used == ours.keys()

  def test_first_step_in_float32(self, name):
    reference = golden_models.load(f"{name}_trajectory")
    _, _, scalars = run(name, "float32", 1)
    np.testing.assert_allclose(losses_of(scalars), reference["losses"][:1], rtol=1e-4)
