"""MUN: sizes of every variant, prototypes over two steps, and what evaluation does not need."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_methods
from small_methods import make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError
from vireid_jax.losses.modality_alignment import modality_center
from vireid_jax.methods import mun
from vireid_jax.training import optim

MODALITIES = ("visible", "infrared", "auxiliary")
# ResNet-50 with a second stem (64 x 3 x 7 x 7 + 128), neck scale, classifier of 395.
BASE = 23_508_032 + 9_536 + 2048 * 396
CROSS = (128 * 64 + 128) + 4 * (64 * 16 + 32) + (128 * 64 + 128)


def intra(*sizes, channels=64):
  """Two learners: depthwise kernels with batch norm each, pointwise convolution, batch norm."""
  one = sum(size * size * channels + 2 * channels for size in sizes)
  return 2 * (one + channels * channels + 2 * channels)


FULL = BASE + CROSS + intra(3, 5, 7) + 2 * 64


def make(**options):
  return small_methods.make("mun", **{"metric": {"name": "wrt"}, **options})


@functools.cache
def drawn():
  method, batch = make(), make_batch()
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


EXPECTED = {
  "full": (FULL, 3),
  "base": (BASE, 0),
  "cross": (BASE + CROSS, 0),
  "intra": (BASE + intra(3, 5, 7), 0),
  "fixed_ratio": (FULL - 2 * 64, 0),
  "layer_scale": (FULL, 0),
  "identity_alignment": (FULL, 0),
  "modality_alignment": (FULL, 3),
  "one_kernel": (BASE + CROSS + intra(3) + 2 * 64, 3),
  "no_accumulation": (FULL, 3),
  "no_bridge": (FULL, 3),
  "gray": (BASE + 9_536, 3),
  "pixel_mix": (BASE + 9_536, 3),
}
LOSSES = {"identity", "wrt_legacy", "identity_alignment", "modality_alignment"}


def test_every_variant_has_an_expected_size():
  assert EXPECTED.keys() == {"full", *mun.VARIANTS}


@pytest.mark.parametrize("variant", EXPECTED)
def test_variants_change_exactly_what_they_say(variant):
  options = mun.VARIANTS.get(variant, {})
  method = methods.create({"name": "mun", **options}, num_classes=395, steps_per_epoch=1)
  batch = make_batch(2, (64, 32))
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  parameters, prototypes = EXPECTED[variant]
  assert count(variables["params"]) == parameters
  found = variables.get("prototypes", {})
  assert sorted(found) == (sorted([*MODALITIES, "started"]) if prototypes else [])
  output = jax.eval_shape(lambda v: method.loss(v, batch, rngs=None, step=0), variables)
  off = {name for name in LOSSES if options.get(name) == {"weight": 0.0}}
  assert output.terms.keys() == LOSSES - off
  distances = 1 if variant == "base" else 3
  assert sum(name.startswith("distance/") for name in output.metrics) == distances
  ratios = {"base": 0, "gray": 0, "pixel_mix": 0, "cross": 1, "intra": 1}.get(variant, 3)
  assert sum(name.startswith("ratio/") for name in output.metrics) == ratios


@pytest.mark.parametrize("stage, channels", [(0, 64), (1, 256), (2, 512)])
def test_the_generator_works_at_the_width_of_its_stage(stage, channels):
  method = methods.create(
    {"name": "mun", "generator_stage": stage}, num_classes=395, steps_per_epoch=1
  )
  variables = jax.eval_shape(method.init, jax.random.key(0), make_batch(2, (64, 32)))
  assert variables["params"]["generator"]["cross_scale"].shape == (channels,)
  assert count(variables["params"]) - count(variables["params"]["generator"]) == BASE


def test_terms_are_the_losses_of_the_pooled_features():
  method, batch, variables = drawn()
  output, found = jax.jit(loss_and_features(method))(variables, batch)
  pooled = found["before_neck"].reshape(4, 3, -1)
  features, label = [pooled[:, index] for index in range(3)], batch["label"]
  both, twice = jnp.concatenate(features[:2]), np.tile(label, 2)
  wrt = losses.weighted_regularized_triplet(both, twice)
  identity = losses.cross_entropy(found["logits"], np.repeat(label, 3))
  after_neck = losses.unit(found["after_neck"]).reshape(4, 3, -1)
  aligned = losses.identity_alignment(
    [after_neck[:, index] for index in range(3)], label, margin=1.0
  )
  mu = [modality_center(x) for x in features]
  # First step: the prototypes are the centres themselves.
  modality = sum(2 * jnp.sum((mu[m] - mu[2]) ** 2) for m in (0, 1)) / 2
  expected = {
    "wrt": wrt,
    "identity": identity,
    "identity_alignment": 3 * aligned,
    "modality_alignment": 5 * modality,
  }
  assert output.terms.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_allclose(output.terms[name], value, rtol=1e-4, err_msg=name)


def loss_and_features(method):
  """Returns a function of (variables, batch) to the loss output and what the network computes.

  To be compiled as one: operation by operation, a network takes far longer.
  """

  def both(variables, batch):
    network = {k: v for k, v in variables.items() if k != "prototypes"}
    found, _ = method.network.apply(
      network, batch["visible"], batch["infrared"], None, mutable=["batch_stats"]
    )
    return method.loss(variables, batch, rngs=None, step=0), found

  return both


def statistics(method, variables, batch):
  """Returns the running statistics after a step, and compiles nothing else."""

  def compute(variables):
    return method.loss(variables, batch, rngs=None, step=0).collections["batch_stats"]

  return jax.jit(compute)(variables)


@pytest.mark.parametrize("rate", [0.9, 0.0])
def test_prototypes_over_two_steps(rate):
  _, _, variables = drawn()
  method = make(modality_alignment={"rate": rate})
  compute = jax.jit(loss_and_features(method))
  centers, prototypes, values = [], [], []
  for seed in (0, 1):
    output, found = compute(variables, make_batch(seed=seed))
    pooled = found["before_neck"].reshape(4, 3, -1)
    centers.append({name: modality_center(pooled[:, i]) for i, name in enumerate(MODALITIES)})
    values.append(output.terms["modality_alignment"])
    variables = {**variables, **output.collections}
    prototypes.append(variables["prototypes"])
  for name in MODALITIES:
    np.testing.assert_allclose(prototypes[0][name], centers[0][name], atol=1e-6)
    moved = rate * centers[0][name] + (1 - rate) * centers[1][name]
    np.testing.assert_allclose(prototypes[1][name], moved, atol=1e-6)
  # Prototypes are compared with prototypes; without accumulation they are the batch's centres.
  old = new = prototypes[1] if rate else centers[1]
  second = 0.0
  for m in ("visible", "infrared"):
    second += np.sum((new[m] - old["auxiliary"]) ** 2) + np.sum((new["auxiliary"] - old[m]) ** 2)
  assert second > 0
  np.testing.assert_allclose(values[1], method.modality_alignment.weight * second / 2, rtol=1e-4)


def test_a_weight_of_zero_leaves_the_term_and_its_prototypes_out():
  _, batch, variables = drawn()
  without = {name: tree for name, tree in variables.items() if name != "prototypes"}
  method = make(**mun.NO_IDENTITY, **mun.NO_MODALITY, metric={"weight": 0})
  drawn_again = jax.eval_shape(method.init, jax.random.key(0), batch)
  assert drawn_again.keys() == without.keys()
  output = jax.eval_shape(lambda v: method.loss(v, batch, rngs=None, step=0), without)
  assert output.terms.keys() == {"identity"}
  assert output.collections.keys() == without.keys() - {"params"}


@functools.cache
def base_statistics():
  _, batch, variables = drawn()
  without = {name: dict(tree) for name, tree in variables.items() if name != "prototypes"}
  for name in ("params", "batch_stats"):
    without[name].pop("generator")
  return statistics(make(**mun.VARIANTS["base"]), without, batch)


def test_running_statistics_are_those_of_the_images_met_at_test_time():
  method, batch, variables = drawn()
  found = statistics(method, variables, batch)
  expected = base_statistics()
  for name in ("backbone", "head"):
    found_of, expected_of = jax.tree.leaves(found[name]), jax.tree.leaves(expected[name])
    for x, y in zip(found_of, expected_of, strict=True):
      np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_evaluation_needs_no_generator_and_one_modality():
  method, batch, variables = drawn()
  backbone = variables["params"]["backbone"]
  for modality, other in (("visible", "infrared"), ("infrared", "visible")):
    whole = jax.jit(method.embed, static_argnums=2)(variables, batch[modality], modality)
    params = {
      "backbone": {k: v for k, v in backbone.items() if k != other},
      "head": variables["params"]["head"],
    }
    stats = {k: v for k, v in variables["batch_stats"].items() if k != "generator"}
    left = {"params": params, "batch_stats": stats, "constants": variables["constants"]}
    np.testing.assert_array_equal(
      jax.jit(method.embed, static_argnums=2)(left, batch[modality], modality), whole
    )


def test_layer_scales_have_no_weight_decay():
  method, _, variables = drawn()
  config = {"name": "sgd", "weight_decay": 0.5, "momentum": 0.0, "nesterov": False}
  config |= {"no_decay": (), "lr_multipliers": {}}
  optimizer = optim.create(config, lambda step: 1.0, no_decay=method.no_decay)
  params = variables["params"]
  zeros = jax.tree.map(jnp.zeros_like, params)
  updates, _ = optimizer.update(zeros, optimizer.init(params), params)
  generator = updates["generator"]
  assert not np.any(generator["intra_scale"]) and not np.any(generator["cross_scale"])
  assert np.any(generator["cross"]["fuse"]["kernel"])


@pytest.mark.parametrize(
  "options, message",
  [
    ({"auxiliary": "grey"}, "'gray'"),
    ({"modality_alignment": {"metric": "mmd"}}, "modality_alignment.metric: no such option"),
    ({"generator_stage": 3}, "generator_stage is 3"),
    ({"num_specific_stages": 2}, "num_specific_stages 2"),
    ({"intra": False, "cross": False}, "needs intra or cross"),
    ({"auxiliary": "none"}, "modality_alignment.weight=0 or"),
  ],
)
def test_impossible_options_are_refused(options, message):
  with pytest.raises(UserError, match=message):
    make(**options)
