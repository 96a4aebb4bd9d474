"""TMPA's sizes, its terms by hand, where gradients go, its hook, and what evaluation touches."""

import functools

import config_files
import flax.linen as nn
import jax
import jax.numpy as jnp
import mix_on_devices
import numpy as np
import pytest
import small_methods
from small_methods import NUMERICS, make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.experiment import train
from vireid_jax.losses.shared_specific import shared_specific
from vireid_jax.losses.transfer import transfer_distance
from vireid_jax.methods import tmpa
from vireid_jax.methods.tmpa import region as region_lib
from vireid_jax.speed.count import abstract_variables, count, measure

STEM, STAGE_1, STAGE_2, STAGE_3, STAGE_4 = 9_536, 215_808, 1_219_584, 7_098_368, 14_964_736
STREAM, EXTRACTOR = STEM + STAGE_1 + STAGE_2, STAGE_3 + STAGE_4
# A neck's scale and a classifier of 395 identities on 2048 channels.
HEAD = 2048 * 396
ATTENTION = 4 * 2048 * 256 + 2 * 2048
CONVOLUTION = ATTENTION + 12 * 9 + 9 * 9 * 256
BASE = 2 * STREAM + EXTRACTOR + HEAD
MFE = BASE + 2 * (EXTRACTOR + HEAD)
THREE_LAYERS = 3 * 2048**2


make = functools.partial(small_methods.make, "tmpa")


@functools.cache
def drawn():
  method, batch = make(), make_batch()
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def full_size(**options):
  return methods.create(
    {"name": "tmpa", **options}, num_classes=395, steps_per_epoch=1, numerics=NUMERICS
  )


@pytest.mark.parametrize(
  "variant, parameters, transfer",
  [
    ("base", BASE, 0),
    ("pedmix", BASE, 0),
    ("mfe", MFE, 0),
    # The feature is three times as wide, and the shared one has a head of its own.
    ("attention", MFE + 3 * HEAD + 2 * ATTENTION, ATTENTION),
    ("convolution", MFE + 3 * HEAD + 2 * CONVOLUTION, CONVOLUTION),
    ("mft", MFE + 3 * HEAD + 2 * (CONVOLUTION + 2), CONVOLUTION + 2),
    ("", MFE + 3 * HEAD + 2 * (CONVOLUTION + 2), CONVOLUTION + 2),
  ],
)
def test_parameter_counts(variant, parameters, transfer):
  method = full_size(**tmpa.VARIANTS.get(variant, {}))
  params = abstract_variables(method, (64, 32))["params"]
  assert count(params) == parameters
  for direction in ("from_visible", "from_infrared"):
    assert count(params.get(direction, {})) == transfer
  assert 2 * transfer < THREE_LAYERS


@pytest.mark.parametrize(
  "variant, used, operations",
  [
    ("base", STREAM + EXTRACTOR + 2048, 9.88e9),
    ("", STREAM + 2 * EXTRACTOR + CONVOLUTION + 2 + 3 * 2048, 17.51e9),
  ],
)
def test_cost_at_test(variant, used, operations):
  cost = measure(full_size(**tmpa.VARIANTS.get(variant, {})), (288, 144))
  assert cost.used == used
  np.testing.assert_allclose(cost.operations, operations, rtol=0.02)


def test_the_later_branch_shares_stage_3():
  params = abstract_variables(full_size(branch_stage=3), (64, 32))["params"]["backbone"]
  assert count(params["common"]) == STAGE_3
  assert count(params["shared"]) == count(params["specific_visible"]) == STAGE_4
  assert set(params) == {
    *("visible", "infrared", "common", "shared", "specific_visible", "specific_infrared")
  }


class KeptInputs:
  """Keeps what enters the head of the feature, and the heads that judge transferred features."""

  def __init__(self):
    self.found = {}

  def __call__(self, call, args, kwargs, context):
    if (context.module.name, context.method_name) == ("head", "__call__"):
      self.found["feature"] = args[0]
    if context.method_name == "frozen_logits":
      self.found["transferred"] = (*self.found.get("transferred", ()), args[0])
    return call(*args, **kwargs)


@functools.cache
def compiled():
  """Returns a function of (parameters, batch) to all that the loss computes, compiled once."""
  method, _, variables = drawn()

  def everything(params, batch):
    def terms_of(params):
      now = {**variables, "params": params}
      return method.loss(now, batch, rngs=None, step=jnp.int32(0)).terms

    with nn.intercept_methods(kept := KeptInputs()):
      outputs, updates = method.network.apply(
        {**variables, "params": params},
        *(batch[name] for name in MODALITIES),
        mutable=["batch_stats"],
      )
    outputs |= kept.found
    terms, pull_back = jax.vjp(terms_of, params)
    (of_transfer,) = pull_back({name: jnp.float32(name == "mft") for name in terms})
    (gradient,) = pull_back(jax.tree.map(jnp.ones_like, terms))
    return outputs, updates["batch_stats"], terms, of_transfer, gradient

  return jax.jit(everything)


def computed():
  _, batch, variables = drawn()
  return jax.tree.map(np.asarray, compiled()(variables["params"], batch))


def test_feature_is_shared_visible_infrared_for_any_image():
  outputs, *_ = computed()
  shared, own, made = (outputs[name] for name in ("shared", "specific", "transferred"))
  assert outputs["feature"].shape == (8, 3 * 64)
  # Rows alternate: visible, infrared.
  for modality, parts in enumerate(
    ((shared[0::2], own[0], made[1]), (shared[1::2], made[0], own[1]))
  ):
    np.testing.assert_array_equal(outputs["feature"][modality::2], np.concatenate(parts, axis=1))


def test_terms_are_the_losses_times_their_weights():
  outputs, _, values, *_ = computed()
  label = make_batch()["label"]
  labels = np.repeat(label, 2)
  shared, own, made = (
    outputs[f"{name}_after_neck"] for name in ("shared", "specific", "transferred")
  )

  def mean_of(features):
    return np.stack([features[label == y].mean(0) for y in label])

  def direction(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)

  def entropy(logits):
    return np.mean([losses.cross_entropy(each, label) for each in logits])

  apart = [direction(made[m]) - direction(mean_of(own[m])) for m in (0, 1)]
  distance = np.mean(np.linalg.norm(apart, axis=-1))
  expected = {
    "identity": 0.5 * losses.cross_entropy(outputs["logits"], labels),
    "wrt": losses.weighted_regularized_triplet(outputs["shared"], labels),
    "shared_identity": 0.5 * losses.cross_entropy(outputs["shared_logits"], labels),
    "specific_identity": entropy(outputs["specific_logits"]),
    "mss": shared_specific((shared[0::2], shared[1::2]), own, label).total(),
    "mft": distance + entropy(outputs["transferred_logits"]),
  }
  assert set(values) == set(expected)
  for name, value in expected.items():
    np.testing.assert_allclose(values[name], value, rtol=2e-5, err_msg=name)


def test_who_learns_from_the_transfer():
  *_, gradient, _ = computed()
  # The classifiers that judge the made features learn nothing from them.
  assert largest(gradient["visible_head"]["classifier"]) == 0
  assert largest(gradient["infrared_head"]["classifier"]) == 0
  assert largest(gradient["head"]) == largest(gradient["shared_head"]) == 0
  assert min(largest(gradient[name]) for name in ("from_visible", "from_infrared")) > 1e-6
  backbone = gradient["backbone"]
  assert min(largest(backbone[name]) for name in ("shared", "specific_visible")) > 1e-6


def largest(tree):
  return max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(tree))


def test_true_features_do_not_come_towards_transferred_ones():
  transferred, specific = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
  label = np.array([0, 0, 1, 1])
  slopes = jax.grad(transfer_distance, argnums=(0, 1))(transferred, specific, label)
  assert largest(slopes[0]) > 0
  assert largest(slopes[1]) == 0


def test_without_transfer_the_shared_feature_is_all_that_is_judged():
  batch, method = make_batch(), make(**tmpa.VARIANTS["base"])
  variables = jax.jit(method.init)(jax.random.key(0), batch)

  @jax.jit
  def compute(variables):
    outputs, _ = method.network.apply(
      variables, batch["visible"], batch["infrared"], mutable=["batch_stats"]
    )
    return outputs, method.loss(variables, batch, rngs=None, step=jnp.int32(0)).terms

  outputs, terms = compute(variables)
  labels = np.repeat(batch["label"], 2)
  wrt = losses.weighted_regularized_triplet(outputs["shared"], labels)
  np.testing.assert_allclose(terms["wrt"], wrt, rtol=2e-5)
  # The weights of the feature and of its shared part, which are one here, add up.
  identity = losses.cross_entropy(outputs["logits"], labels)
  np.testing.assert_allclose(terms["identity"], identity, rtol=2e-5)


def test_specific_parts_of_the_feature_start_at_their_scale():
  method, batch, scale = make(), make_batch(), 0.1

  def draw(key):
    return method.init(key, batch)["params"]["head"]["neck"]["scale"]  # alone, compiled in no time

  shared, visible, infrared = np.split(jax.jit(draw)(jax.random.key(0)), 3)
  np.testing.assert_allclose(shared, 1, atol=0.05)
  np.testing.assert_allclose([visible, infrared], scale, atol=0.05 * scale)


def test_made_features_are_judged_by_the_head_of_what_they_imitate():
  outputs, updates, *_ = computed()
  for index, name in enumerate(("visible_head", "infrared_head")):
    params, statistics = drawn()[2]["params"][name], updates[name]["neck"]
    normal = (outputs["transferred"][index] - statistics["mean"]) / np.sqrt(
      statistics["var"] + 1e-5
    )
    logits = (normal * params["neck"]["scale"]) @ params["classifier"]["kernel"]
    np.testing.assert_allclose(outputs["transferred_logits"][index], logits, atol=1e-5)


@pytest.mark.parametrize("case", ["one image of each", "one identity", "equal images", "black"])
def test_degenerate_batches_have_finite_gradients(case):
  _, batch, variables = drawn()
  labels = {"one image of each": [0, 1, 2, 3], "one identity": [0, 0, 0, 0]}
  label = np.int32(labels.get(case, batch["label"]))
  same = {"equal images": batch["visible"][:1], "black": np.zeros_like(batch["visible"][:1])}
  images = np.repeat(same[case], 4, 0) if case in same else None
  given = {name: batch[name] if images is None else images for name in ("visible", "infrared")}
  _, _, terms, _, gradient = compiled()(variables["params"], {**given, "label": label})
  assert all(np.isfinite(value) for value in terms.values())
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def without(variables, *names):
  """Drops modules from every collection; a name with '/' is a path."""

  def drop(tree, path):
    tree = dict(tree)
    if len(path) == 1:
      tree.pop(path[0], None)
    elif path[0] in tree:
      tree[path[0]] = drop(tree[path[0]], path[1:])
    return tree

  for name in names:
    variables = {key: drop(tree, name.split("/")) for key, tree in variables.items()}
  return variables


@pytest.mark.parametrize("modality, other", [("visible", "infrared"), ("infrared", "visible")])
def test_evaluation_of_one_modality_touches_nothing_of_the_other(modality, other):
  method, batch, variables = drawn()
  heads = ("shared_head", "visible_head", "infrared_head")
  gone = (f"from_{other}", f"backbone/specific_{other}", f"backbone/{other}", *heads)
  fewer = without(variables, *gone)
  assert count(fewer["params"]) < 0.75 * count(variables["params"])
  embed = jax.jit(method.embed, static_argnums=2)
  # One image is enough, without a partner.
  whole, part = (embed(each, batch[modality][:1], modality) for each in (variables, fewer))
  assert whole.shape == (1, 3 * 64) and whole.dtype == jnp.float32
  np.testing.assert_array_equal(whole, part)


@pytest.mark.parametrize("variant", [*tmpa.VARIANTS, ""])
def test_ablation_rows_have_their_parts(variant):
  config = config_files.load("tmpa_synthetic", f"{variant},smoke")
  method = methods.create(config.method, num_classes=5, steps_per_epoch=3)
  batch = make_batch()
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  output = jax.eval_shape(lambda v: method.loss(v, batch, rngs=None, step=0), variables)
  expected = {"identity", "wrt"}
  expected |= set() if variant in ("base", "pedmix") else {"specific_identity", "mss"}
  transfers = variant in ("attention", "convolution", "mft", "")
  expected |= {"shared_identity", "mft"} if transfers else set()
  assert set(output.terms) == expected
  assert (method.pedmix.strategy == "swap") == (variant in ("pedmix", ""))
  assert method.no_decay == (
    ("attention_scale", "convolution_scale") if variant in ("mft", "") else ()
  )


def test_own_activation_takes_over_from_the_prior_after_the_warm_up():
  always = {"region": "cam", "cam_warmup": "10 steps", "probability": 1.0, "ratio": 1.0}
  method = make(pedmix=always)
  given = mix_on_devices.batch()
  variables = drawn()[2]

  def mix_and_regions(variables, given, step):
    mixed = method.mix(variables, given, rngs=jax.random.key(1), step=step)
    return mixed, {n: method.attended_region(variables, given[n], n) for n in MODALITIES}

  mix_and_regions = jax.jit(mix_and_regions)
  early, _ = mix_and_regions(variables, given, 9)
  late, regions = mix_and_regions(variables, given, 10)
  prior = np.asarray(region_lib.prior(*mix_on_devices.SIZE)) > 0
  for name, region in regions.items():
    assert not (early[name] != given[name])[:, ~prior].any()
    changed = (late[name] != given[name]).any(-1)
    assert changed.any() and not changed[np.asarray(region) == 0].any()
    assert (np.asarray(early[name]) != late[name]).any()
    assert 0.1 < region.mean() < 0.9
  np.testing.assert_array_equal(late["label"], given["label"])


def test_masks_are_asked_for_only_when_the_region_needs_them():
  def needs(**options):
    config = config_files.load("tmpa_synthetic")
    config.method.pedmix.update(options)
    return methods.needs_masks(config.method)

  assert needs(region="mask")
  assert not needs(region="prior")
  assert not needs(region="mask", strategy="cutmix")
  assert not methods.needs_masks(config_files.load("agw_synthetic").method)


@pytest.mark.parametrize(
  "options, message",
  [
    ({"mfe": False}, "mft = 'both' transfers specific features, but mfe = False"),
    ({"mft": "conv"}, "unknown mft 'conv'; did you mean 'convolution'"),
    ({"pedmix": {"region": "box"}}, "unknown region 'box'"),
    ({"branch_stage": 1}, "branch_stage is 1; allowed: 2, 3"),
    ({"pedmix": {"ratio": 2.0}}, "config.method.pedmix.ratio is 2.0"),
    ({"pedmix": {"cam_warmup": "-1 steps"}}, "method.pedmix.cam_warmup = '-1 steps'"),
    ({"pedmix": {"cam_warmup": "9 examples"}}, "allowed here: steps or epochs"),
  ],
)
def test_wrong_settings_are_explained(options, message):
  with pytest.raises(UserError, match=message):
    make(**options)


def test_flips_are_shared_by_a_pair_and_come_before_mixing():
  for name in ("sysu", "regdb", "llcm", "synthetic"):
    config = config_files.load(f"tmpa_{name}")
    assert config.augment.pair == ("flip()",)
    assert "flip()" not in config.augment.visible + config.augment.infrared


@pytest.mark.slow
@pytest.mark.parametrize("region", ["mask", "cam"])
def test_smoke_training(region, data_dir, tmp_path):
  config = config_files.smoke("tmpa_synthetic", data_dir)
  config.method.pedmix.update({"region": region, "cam_warmup": "2 steps"})
  results = train.train(config, tmp_path)
  assert all(np.isfinite(result.mean["mAP"]) for result in results.values())
