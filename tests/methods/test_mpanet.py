"""MPANet's parts: sizes, averages, where gradients go, and its terms by hand."""

import functools

import config_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_methods
from small_methods import NUMERICS, make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError
from vireid_jax.methods import mpanet
from vireid_jax.methods.mpanet.pam import PAM
from vireid_jax.models.mam import MAM, instance_norm
from vireid_jax.models.modality_classifiers import ModalityClassifiers

RESNET_50 = 23_508_032
MAMS = 2 * 1024 * 64 + 2 * 2048 * 128
NO_MUTUAL = mpanet.NO_MUTUAL
NO_PAM = {"separation_weight": 0.0, "pam": False}


make = functools.partial(small_methods.make, "mpanet")


@functools.cache
def drawn():
  method, batch = make(), make_batch()
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
  "options, parameters, averages",
  [
    # PAM 6 x 2049; neck scale and three classifiers on 7 x 2048 features.
    ({}, RESNET_50 + MAMS + 6 * 2049 + 14_336 * (1 + 3 * 395), 2 * 14_336 * 395),
    (NO_MUTUAL, RESNET_50 + MAMS + 6 * 2049 + 14_336 * 396, 0),
    ({**NO_MUTUAL, **NO_PAM}, RESNET_50 + MAMS + 2048 * 396, 0),
    ({**NO_MUTUAL, **NO_PAM, "mam": False}, RESNET_50 + 2048 * 396, 0),
  ],
)
def test_parameter_counts(options, parameters, averages):
  method = methods.create({"name": "mpanet", **options}, num_classes=395, steps_per_epoch=1)
  variables = jax.eval_shape(method.init, jax.random.key(0), make_batch(2, (64, 32)))
  assert count(variables["params"]) == parameters
  assert count(variables.get("mean_classifiers", {})) == averages
  assert count(variables["constants"]) in (14_336, 2048)


def test_averages_start_equal_and_features_are_parts_then_whole():
  method, batch, variables = drawn()
  averages = variables["mean_classifiers"]["modality_classifiers"]
  classifiers = variables["params"]["modality_classifiers"]
  jax.tree.map(np.testing.assert_array_equal, dict(averages), dict(classifiers))
  feature = jax.jit(method.embed, static_argnums=2)(variables, batch["visible"], "visible")
  assert feature.shape == (4, 7 * 64)


def test_averages_move_before_they_are_used_over_two_steps_by_hand():
  # One class score per modality: a kernel of shape [1, 1], features of 1.
  module = ModalityClassifiers(1, NUMERICS)
  one, rate = jnp.ones((1, 1)), 0.25

  def variables(visible, infrared, mean_visible, mean_infrared):
    trees = [(visible, infrared), (mean_visible, mean_infrared)]
    params, means = (
      {"visible": jnp.full((1, 1), v), "infrared": jnp.full((1, 1), i)} for v, i in trees
    )
    return {"params": params, "mean_classifiers": means}

  def step(variables):
    scores, updates = module.apply(variables, one, one, rate, mutable=["mean_classifiers"])
    return [float(score[0, 0]) for score in scores], updates["mean_classifiers"]

  # Averages 0 and 8 become 0.75 * 0 + 0.25 * 4 = 1 and 0.75 * 8 + 0.25 * 16 = 10, and are used so:
  # visible features meet the infrared average, infrared features the visible one.
  scores, means = step(variables(4.0, 16.0, 0.0, 8.0))
  assert scores == [4.0, 16.0, 10.0, 1.0]
  assert [float(means[name][0, 0]) for name in ("visible", "infrared")] == [1.0, 10.0]
  # The optimiser has moved the classifiers to 5 and 14: 0.75 + 1.25 = 2 and 7.5 + 3.5 = 11.
  scores, means = step(variables(5.0, 14.0, 1.0, 10.0))
  assert scores == [5.0, 14.0, 11.0, 2.0]
  assert [float(means[name][0, 0]) for name in ("visible", "infrared")] == [2.0, 11.0]


def test_rate_counts_epochs_from_one():
  method = make()  # three steps an epoch
  rates = [float(method.average_rate(step)) for step in (0, 2, 3 * 98, 3 * 99, 3 * 139)]
  # Epochs 1, 1, 99, 100, 140.
  np.testing.assert_allclose(rates, [0.2, 0.2, 0.2, 20 / 101, 20 / 141], rtol=1e-6)


def test_loss_stores_the_moved_averages():
  method, batch, variables = drawn()
  variables = jax.tree.map(lambda x: x, variables)
  zeros = jax.tree.map(jnp.zeros_like, variables["mean_classifiers"])
  variables["mean_classifiers"] = zeros
  output = jax.jit(lambda v: method.loss(v, batch, rngs=None, step=jnp.int32(0)))(variables)
  for name in ("visible", "infrared"):
    np.testing.assert_allclose(
      output.collections["mean_classifiers"]["modality_classifiers"][name],
      0.2 * variables["params"]["modality_classifiers"][name],
      rtol=1e-6,
    )


def test_gradient_of_the_mutual_term_reaches_student_and_features_but_no_average():
  method, batch, variables = drawn()

  def mutual(variables):
    return method.loss(variables, batch, rngs=None, step=jnp.int32(0)).terms["mutual"]

  gradient = jax.jit(jax.grad(mutual, allow_int=True))(variables)
  largest = jax.tree.map(lambda x: float(jnp.abs(x).max()), gradient)
  assert largest["params"]["modality_classifiers"]["visible"] > 1e-6
  assert largest["params"]["modality_classifiers"]["infrared"] > 1e-6
  assert largest["params"]["lower"]["stem"]["conv1"]["kernel"] > 1e-6
  assert largest["params"]["head"]["classifier"]["kernel"] == 0
  assert all(value == 0 for value in jax.tree.leaves(largest["mean_classifiers"]))


def test_no_gradient_reaches_classifiers_or_features_through_the_averages():
  module = ModalityClassifiers(3, NUMERICS)
  generator = np.random.default_rng(0)
  visible, infrared = generator.normal(size=(2, 4, 6)).astype(np.float32)
  variables = module.init(jax.random.key(0), visible, infrared, 0.2)

  def taught(variables, visible, infrared):
    scores, _ = module.apply(variables, visible, infrared, 0.2, mutable=["mean_classifiers"])
    return jnp.sum(scores[2] ** 2) + jnp.sum(scores[3] ** 2)

  gradients = jax.grad(taught, argnums=(0, 1, 2))(variables, visible, infrared)
  assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(gradients))


def test_terms_are_the_losses_times_their_weights():
  method, batch, variables = drawn()

  def outputs(variables):
    return method.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      jnp.float32(0.2),
      mutable=["batch_stats", "mean_classifiers"],
    )[0]

  def terms(variables):
    return method.loss(variables, batch, rngs=None, step=jnp.int32(0)).terms

  parts, values = jax.jit(lambda v: (outputs(v), terms(v)))(variables)
  labels, pair_labels = np.repeat(batch["label"], 2), batch["label"]
  visible, infrared, visible_by_other, infrared_by_other = parts["modality_logits"]
  own = np.concatenate([visible, infrared])
  other = np.concatenate([visible_by_other, infrared_by_other])
  expected = {
    "identity": losses.cross_entropy(parts["logits"], labels),
    "separation": 0.5 * losses.separation(parts["masks"]),
    "center_cluster": losses.center_cluster(parts["feature"], labels, margin=0.7),
    "visible_identity": losses.cross_entropy(visible, pair_labels),
    "infrared_identity": losses.cross_entropy(infrared, pair_labels),
    "mutual": 2.5 * losses.divergence(own, other),
  }
  assert set(values) == set(expected)
  for name, value in expected.items():
    np.testing.assert_allclose(values[name], value, rtol=1e-5)


@pytest.mark.parametrize(
  "variant, terms",
  [
    ("base", {"identity"}),
    ("mam", {"identity"}),
    ("pam", {"identity"}),
    ("separation", {"identity", "separation"}),
    ("center_cluster", {"identity", "separation", "center_cluster"}),
  ],
)
def test_ablation_rows_add_one_part_each(variant, terms):
  config = config_files.load("mpanet_synthetic", f"{variant},smoke")
  rows = ("base", "mam", "pam", "separation", "center_cluster")
  switches = ("mam", "pam", "separation_weight", "center_cluster_weight", "mutual_weight")
  on = [bool(config.method[name]) for name in switches]
  assert on == [True] * rows.index(variant) + [False] * (5 - rows.index(variant))
  method = methods.create(config.method, num_classes=5, steps_per_epoch=3)
  batch = make_batch()
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  output = jax.eval_shape(lambda v: method.loss(v, batch, rngs=None, step=0), variables)
  assert set(output.terms) == terms
  assert "mean_classifiers" not in variables


def test_settings_that_contradict_each_other_are_refused():
  with pytest.raises(UserError, match="separation loss compares masks, but pam = False"):
    make(pam=False)
  with pytest.raises(UserError, match="unknown feature 'neck'"):
    make(feature="neck")


def test_mam_by_hand():
  x = jnp.asarray(np.random.default_rng(0).normal(3, 2, (2, 4, 3, 16)), jnp.float32)
  module = MAM(numerics=NUMERICS)
  variables = module.init(jax.random.key(0), x)
  squeeze = np.asarray(variables["params"]["squeeze"]["kernel"])[0, 0]
  excite = np.asarray(variables["params"]["excite"]["kernel"])[0, 0]
  assert squeeze.shape == (16, 1)
  kept = 1 / (1 + np.exp(-np.maximum(np.asarray(x).mean((1, 2)) @ squeeze, 0) @ excite))
  normal = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
  expected = kept[:, None, None] * x + (1 - kept[:, None, None]) * normal
  np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-4)
  np.testing.assert_allclose(instance_norm(x), normal, atol=1e-4)


def test_pam_by_hand():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 3, 5)), jnp.float32)
  module = PAM(2, NUMERICS)
  variables = module.init(jax.random.key(0), x)
  kernel = np.asarray(variables["params"]["masks"]["kernel"])[0, 0]
  assert np.abs(kernel).max() <= 1 / np.sqrt(5)
  np.testing.assert_array_equal(variables["params"]["masks"]["bias"], 0)
  feature, masks = module.apply(variables, x)
  expected = 1 / (1 + np.exp(-(np.asarray(x) @ kernel)))
  np.testing.assert_allclose(masks, expected, atol=1e-5)
  parts = [(expected[..., [p]] * x).mean((1, 2)) for p in range(2)]
  np.testing.assert_allclose(
    feature, np.concatenate([*parts, np.asarray(x).mean((1, 2))], axis=1), atol=1e-5
  )


@pytest.mark.parametrize(
  "name, identities, images, size, last",
  [
    ("sysu", 16, 4, (384, 128), "120 epochs"),
    ("regdb", 12, 5, (256, 128), "110 epochs"),
    ("llcm", 16, 4, (384, 128), "120 epochs"),
  ],
)
def test_published_settings(name, identities, images, size, last):
  config = config_files.load(f"mpanet_{name}")
  assert config.sampler.to_dict() == {
    "name": "groups",
    "num_identities": identities,
    "num_instances": images,
  }
  assert config.data.image_size == size
  assert (config.optim.name, config.optim.lr, config.optim.weight_decay) == ("adam", 3.5e-4, 5e-4)
  assert config.optim.decay_at == ("80 epochs", last)
  assert config.augment.visible == config.augment.infrared
  assert config.augment.visible[0] == "pad_crop(padding=10, fill=127)"
  assert config.eval.normalize is (name != "regdb")
