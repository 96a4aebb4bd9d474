"""MCJA's parts, terms and options, at a small size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_methods import make, make_batch

from vireid_jax import losses, methods
from vireid_jax.methods import common, mcja
from vireid_jax.methods.mcja.mda import MDA
from vireid_jax.models.numerics import Numerics


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


# ResNet-50 without classifier 23,508,032; an MDA block of c channels and M contexts: M (c + 1) for
# the scores, M c for the gate's weights and 4 c for two norms; neck 2,048; classifier 2,048 x 395.
@pytest.mark.parametrize(
  "options, blocks",
  [
    ({}, 2 * (2 * 513 + 6 * 512) + 3 * (2 * 1025 + 6 * 1024)),
    ({"num_contexts": 12}, 2 * (12 * 513 + 16 * 512) + 3 * (12 * 1025 + 16 * 1024)),
    (mcja.VARIANTS["base"], 0),
  ],
)
def test_parameter_counts(options, blocks):
  method = methods.create({"name": "mcja", **options}, num_classes=395, steps_per_epoch=1)
  variables = jax.eval_shape(method.init, jax.random.key(0), make_batch(2, (64, 32)))
  assert count(variables["params"]) == 23_508_032 + blocks + 2_048 * 396


@functools.cache
def drawn():
  method, batch = make("mcja"), make_batch()
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def test_the_last_map_is_a_thirty_second_of_the_image():
  method, _, variables = drawn()
  images = jax.ShapeDtypeStruct((1, 384, 192, 3), jnp.float32)
  found = jax.eval_shape(lambda v, x: method.forward_features(v, x, "visible"), variables, images)
  assert found.shape[1:3] == (12, 6)


def test_a_block_starts_as_the_identity():
  x = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
  variables = MDA(3, Numerics("float32")).init(jax.random.key(1), x, train=True)
  for train in (True, False):
    y, _ = MDA(3, Numerics("float32")).apply(variables, x, train=train, mutable=["batch_stats"])
    np.testing.assert_array_equal(y, x)


def test_both_modalities_go_through_one_network():
  method, batch, variables = drawn()
  embed = jax.jit(method.embed, static_argnums=2)
  one, other = (embed(variables, batch["visible"], side) for side in ("visible", "infrared"))
  np.testing.assert_array_equal(one, other)


def test_terms_read_the_feature_after_the_neck_and_the_modality_of_each_row():
  method, batch, variables = drawn()
  weighted = make("mcja", retrieval={"weight": 2.0, "strength": 0.05})
  modality = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.int32)

  @jax.jit
  def compute(variables, batch):
    rows = jnp.stack([batch["visible"], batch["infrared"]], 1).reshape(
      8, *batch["visible"].shape[1:]
    )
    (feature, logits), _ = method.network.apply(variables, rows, mutable=["batch_stats"])
    found = [each.loss(variables, batch, rngs=None, step=0).terms for each in (method, weighted)]
    return feature, logits, found

  labels = jnp.repeat(batch["label"], 2)
  for told in ({}, {"modality": modality}):
    feature, logits, (plain, heavy) = compute(variables, {**batch, **told})
    sides = jnp.asarray(told.get("modality", np.tile([0, 1], (4, 1))).ravel())
    np.testing.assert_allclose(plain["identity"], losses.cross_entropy(logits, labels), rtol=1e-5)
    for terms, weight, strength in ((plain, 1, 0.5), (heavy, 2, 0.05)):
      expected = losses.cross_modality_retrieval(feature, labels, sides, strength=strength)
      np.testing.assert_allclose(terms["retrieval"], weight * expected, rtol=1e-4)


def test_rows_are_paired_visible_and_infrared_unless_told():
  batch = {"label": np.zeros(3, int)}
  np.testing.assert_array_equal(common.modality_of_rows(batch), [0, 1, 0, 1, 0, 1])
  told = {**batch, "modality": jnp.array([[1, 0], [0, 0], [1, 1]])}
  np.testing.assert_array_equal(common.modality_of_rows(told), [1, 0, 0, 0, 1, 1])


@pytest.mark.parametrize("name, terms", [("base", {"identity"}), ("mda", {"identity"})])
def test_variants_without_the_retrieval_loss(name, terms):
  method, batch = make("mcja", **mcja.VARIANTS[name]), make_batch()
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  output = jax.eval_shape(lambda v: method.loss(v, batch, rngs=None, step=0), variables)
  assert set(output.terms) == terms
  blocks = [key for key in variables["params"]["backbone"]["layer2"] if key.startswith("non_local")]
  assert len(blocks) == (2 if name == "mda" else 0)


def test_attention_is_that_of_the_last_block_and_sums_to_one():
  method, batch, variables = drawn()
  maps = jax.jit(method.attention, static_argnums=2)(variables, batch["infrared"], "infrared")
  assert list(maps) == ["context 1", "context 2"]
  for values in maps.values():
    assert values.shape == (4, 2, 1)
    np.testing.assert_allclose(values.sum(axis=(1, 2)), 1, rtol=1e-5)
  plain = make("mcja", mda=(0, 0, 0, 0))
  assert plain.attention({}, batch["visible"], "visible") == {}
