"""PMT: its two stages, gray images, ablation, sizes, and the Transformer as AGW's backbone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_methods import make, make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError
from vireid_jax.config import keys
from vireid_jax.methods import agw, pmt
from vireid_jax.models.numerics import Numerics
from vireid_jax.models.two_stream import merge
from vireid_jax.training import gradients, optim
from vireid_jax.training import state as state_lib
from vireid_jax.training import step as step_lib

KEY = jax.random.key(1)


def small(**options):
  method, batch = make("pmt", **options), make_batch(8, (40, 28))
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def terms_at(method, batch, variables, steps):
  compute = jax.jit(lambda v, step: method.loss(v, batch, rngs=KEY, step=step).terms)
  return [compute(variables, jnp.int32(step)) for step in steps]


def test_the_stages_change_with_the_step():
  method, batch, variables = small(gray_until="2 epochs")  # three steps each
  *gray, color = terms_at(method, batch, variables, (0, 5, 6))
  for terms in gray:
    assert terms["msel"] == terms["dcl"] == 0
  assert color["msel"] > 0 and color["dcl"] > 0
  (features, logits), _ = jax.jit(
    lambda v: method.network.apply(
      v, batch["visible"], batch["infrared"], mutable=["batch_stats"], rngs={"dropout": KEY}
    )
  )(variables)
  label, both = batch["label"], merge(batch["label"], batch["label"])
  visible, infrared = features[::2], features[1::2]

  def triplet(x, y):
    return losses.batch_hard_triplet(x, y, margin=0.1)

  expected = {
    "identity": 2 * losses.cross_entropy(logits, both),
    "triplet": triplet(features, both),
    "msel": 0.5 * losses.modality_shared_enhancement(visible, infrared, label),
    "dcl": 0.5 * losses.discriminative_center(features, both),
  }
  assert color.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_allclose(color[name], value, rtol=1e-4, err_msg=name)
  within = triplet(visible, label) + triplet(infrared, label)
  np.testing.assert_allclose(gray[0]["triplet"], within, rtol=1e-4)


def test_visible_images_are_gray_at_first_and_infrared_ones_never():
  method = make("pmt", gray_until="2 steps")
  rng = np.random.default_rng(0)
  batch = {name: rng.integers(0, 256, (4, 8, 6, 3), np.uint8) for name in ("visible", "infrared")}
  batch["label"] = np.arange(4)
  for step in range(4):
    mixed = method.mix({}, batch, rngs=KEY, step=jnp.int32(step))
    is_gray = bool((mixed["visible"] == mixed["visible"][..., :1]).all())
    assert is_gray == (step < 2) and mixed["visible"].dtype == np.uint8
    np.testing.assert_array_equal(mixed["infrared"], batch["infrared"])
  np.testing.assert_array_equal(mixed["visible"], batch["visible"])


TERMS = {
  "full": {"identity", "triplet", "msel", "dcl"},
  "base": {"identity", "triplet"},
  "progressive": {"identity", "triplet"},
  "msel": {"identity", "triplet", "msel"},
  "dcl": {"identity", "triplet", "dcl"},
}


@pytest.mark.parametrize("variant", TERMS)
def test_variants_have_these_terms(variant):
  assert TERMS.keys() == {"full", *pmt.VARIANTS}
  method, batch, _ = make("pmt", **pmt.VARIANTS.get(variant, {})), make_batch(), None
  output = jax.eval_shape(
    lambda: method.loss(method.init(KEY, batch), batch, rngs=KEY, step=jnp.int32(0))
  )
  assert set(output.terms) == TERMS[variant] >= set(method.trivial_values)
  assert (method.gray_until == "") == (variant == "base")


def test_an_impossible_duration_is_refused_before_anything_compiles():
  with pytest.raises(UserError, match=r"config\.method\.gray_until = '500 examples'.*allowed here"):
    make("pmt", gray_until="500 examples")


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
  "name, options, transformer",
  [
    # Positions of 211 tokens instead of 197, at 256 x 128 with stride 12.
    ("pmt", {}, 85_798_656 + 14 * 768),
    # 16 x 8 patches without overlap.
    ("agw", {"backbone": "vit_b16"}, 85_798_656 - 68 * 768),
    ("agw", {"backbone": "vit_s16"}, 21_665_664 - 68 * 384),
    ("agw", {"backbone": "deit_ti16"}, 5_524_416 - 68 * 192),
  ],
)
def test_parameters_of_all_but_the_head(name, options, transformer):
  method = methods.create({"name": name, **options}, num_classes=395, steps_per_epoch=1)
  batch = make_batch(2, (256, 128))
  shapes = jax.eval_shape(method.init, jax.random.key(0), batch)["params"]
  assert count(shapes["backbone"]) == transformer
  width = 64 * {"vit_s16": 6, "deit_ti16": 3}.get(options.get("backbone"), 12)
  assert count(shapes["head"]) == width + 395 * width


@pytest.mark.parametrize("name, depth", [("resnet18", 18), ("resnet34", 34), ("resnet50", 50)])
def test_a_resnet_may_be_named_with_its_depth(name, depth):
  named = make("agw", backbone=name).network
  assert named == make("agw", depth=depth).network != make("agw", backbone="vit_s16").network
  assert set(agw.RESNETS) == {"resnet18", "resnet34", "resnet50"}


def test_an_unknown_backbone_names_the_nearest():
  with pytest.raises(UserError, match=r"unknown backbone 'vit_b14'; did you mean 'vit_b16'"):
    make("agw", backbone="vit_b14")
  known = [f"method.{key}" for key in methods.defaults("agw")]
  assert keys.suggest("backbone", known) == "did you mean config.method.backbone?"


def test_the_baseline_on_a_transformer_trains_shows_and_embeds_the_class_token():
  method = make("agw", **agw.VARIANTS["vit_s16"])
  batch = make_batch(4, (40, 28))
  variables = jax.jit(method.init)(jax.random.key(0), batch)
  output = jax.jit(lambda v: method.loss(v, batch, rngs=KEY, step=jnp.int32(0)))(variables)
  assert set(output.terms) == {"identity", "triplet"} and np.isfinite(output.loss)
  embed = jax.jit(method.embed, static_argnums=2)
  features = {m: embed(variables, batch["visible"], m) for m in ("visible", "infrared")}
  assert features["visible"].shape == (4, 6 * 8)
  np.testing.assert_array_equal(features["visible"], features["infrared"])
  shown = jax.jit(method.attention, static_argnums=2)(variables, batch["visible"], "visible")
  assert shown["attention"].shape == (4, 2, 1)
  assert make("agw").attention({}, batch["visible"], "visible") == {}


@pytest.mark.slow
def test_recomputed_blocks_give_the_same_gradients():
  method, batch, variables = small()
  found = {}
  for remat in gradients.REMAT:
    function = jax.jit(gradients.make(method, remat=remat))
    text = function.lower(variables, batch, KEY, jnp.int32(9)).as_text()
    found[remat] = function(variables, batch, KEY, jnp.int32(9))[1]
    assert (text.count("optimization_barrier") > 0) == (remat != "none")
  for remat in ("products", "blocks"):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
      found[remat],
      found["none"],
    )


@pytest.mark.slow
def test_bfloat16_stays_finite_and_learns_over_200_steps():
  method = make("pmt", Numerics("bfloat16"), vit={"depth": 4}, width=16, gray_until="60 steps")
  rng = np.random.default_rng(0)
  batches = [make_batch(8, (48, 24), seed) for seed in range(4)]
  config = {"name": "adamw", "weight_decay": 1e-4, "no_decay": (), "lr_multipliers": {}}
  optimizer = optim.create(config, lambda step: jnp.float32(3e-4))
  with pytest.MonkeyPatch.context() as patch:
    patch.delattr(pmt.PMT, "mix")  # noise is not in whole grey levels
    step = jax.jit(step_lib.make_train_step(method, optimizer, lambda key, batch: batch, seed=0))
    state = state_lib.create(jax.jit(method.init)(jax.random.key(0), batches[0]), optimizer)
    identity = []
    for index in range(200):
      state, scalars = step(state, batches[rng.integers(4)])
      assert all(np.isfinite(value) for value in scalars.values()), (index, scalars)
      identity.append(float(scalars["loss/identity"]))
  assert np.mean(identity[-10:]) < 0.5 * np.mean(identity[:10])
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.variables))
