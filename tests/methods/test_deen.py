"""DEEN's options, variants and parts: what is built, what trains, what a feature is made of."""

import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_methods import make, make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError
from vireid_jax.methods import deen
from vireid_jax.models.two_stream import split

ALL = {"identity", "triplet", "cpm", "orthogonality"}
# Of each variant: its terms, MFA blocks and embeddings.
BUILT = {
  "full": (ALL, 3, 3),
  "base": ({"identity", "triplet"}, 0, 1),
  "mfa": ({"identity", "triplet"}, 3, 1),
  "dee": ({"identity", "triplet"}, 3, 3),
  "cpm": (ALL - {"orthogonality"}, 3, 3),
  "clean": (ALL, 3, 3),
}
CHANNELS = 64  # of the last map at depth 18 and width 8


@functools.cache
def full():
  batch, method = make_batch(), make("deen")
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def loss(method, variables, batch, seed=0):
  return method.loss(variables, batch, rngs=jax.random.key(seed), step=jnp.int32(0))


def kept(variables, keep):
  """Returns the variables whose path, without the collection, is kept."""
  return {
    kind: flax.traverse_util.unflatten_dict(
      {path: x for path, x in flax.traverse_util.flatten_dict(tree).items() if keep(path)}
    )
    for kind, tree in variables.items()
  }


@pytest.mark.parametrize("variant", BUILT)
def test_a_variant_has_its_terms_and_parts(variant):
  assert BUILT.keys() == {"full", *deen.VARIANTS}
  terms, blocks, embeddings = BUILT[variant]
  method, batch = make("deen", **deen.VARIANTS.get(variant, {})), make_batch()
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  output = jax.eval_shape(functools.partial(loss, method, batch=batch), variables)
  assert output.terms.keys() == terms
  backbone = variables["params"]["backbone"]
  assert sum(name.startswith("aggregate_") for name in backbone) == blocks
  assert ("expand" in backbone) == (embeddings == 3)
  embed = functools.partial(method.embed, modality="visible")
  feature = jax.eval_shape(embed, variables, batch["visible"])
  assert feature.shape == (4, 2 * embeddings * CHANNELS)


def test_three_stages_have_two_blocks_and_half_the_channels():
  method, batch = make("deen", num_stages=3), make_batch()
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  backbone = variables["params"]["backbone"]
  assert {"stages_2", "aggregate_1"} <= backbone.keys()
  assert not {"stages_3", "aggregate_2"} & backbone.keys()
  feature = jax.eval_shape(
    functools.partial(method.embed, modality="infrared"), variables, batch["infrared"]
  )
  assert feature.shape == (4, 6 * CHANNELS // 2)


def test_losses_between_embeddings_that_are_not_made_are_refused():
  with pytest.raises(UserError, match=r"dee = False.*set method\.cpm\.weight=0"):
    make("deen", dee=False, orthogonality_weight=0.0)


def test_a_feature_is_six_unit_vectors_in_the_order_before_and_after_the_neck():
  _, batch, variables = full()
  features = {
    place: jax.jit(make("deen", feature=place).embed, static_argnums=2)(
      variables, batch["visible"], "visible"
    )
    for place in ("both", "before_neck", "after_neck")
  }
  vectors = features["both"].reshape(4, 6, CHANNELS)
  np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), 1, rtol=1e-5)
  halves = np.concatenate([features["before_neck"], features["after_neck"]], axis=1)
  np.testing.assert_array_equal(features["both"], halves)


def test_a_feature_needs_its_own_stem_alone():
  """Bit for bit the same feature from one image, without all that only training uses."""
  method, batch, variables = full()
  embed = jax.jit(method.embed, static_argnums=2)
  for modality, other in (("visible", "infrared"), ("infrared", "visible")):
    whole = embed(variables, batch[modality][:1], modality)
    needed = kept(variables, lambda path: not {other, "classifier"} & set(path))  # noqa: B023
    assert len(jax.tree.leaves(needed)) < len(jax.tree.leaves(variables))
    np.testing.assert_array_equal(embed(needed, batch[modality][:1], modality), whole)


def test_every_parameter_gets_a_gradient_once_the_blocks_have_moved():
  """The output norms of MFA start at zero, which cuts off what is before them."""
  method, batch, variables = full()
  moved = jax.tree.map(lambda x: jnp.where(x == 0, 0.1, x), variables["params"])
  rest = {kind: values for kind, values in variables.items() if kind != "params"}

  def total(params):
    return loss(method, {"params": params, **rest}, batch).loss

  gradients = flax.traverse_util.flatten_dict(jax.jit(jax.grad(total))(moved), sep="/")
  assert "backbone/expand/branch2_dilation3/kernel" in gradients
  assert [name for name, gradient in gradients.items() if not np.any(gradient)] == []


def test_every_term_carries_its_weight():
  method, batch, variables = full()

  @jax.jit
  def both(variables):
    (pooled, _), _ = method.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      mutable=["batch_stats"],
      rngs={"dropout": jax.random.key(0)},
    )
    return pooled, loss(method, variables, batch).terms

  pooled, terms = both(variables)
  assert pooled.shape == (3 * 8, CHANNELS)
  original, first, second = split(pooled, 3)
  labels = np.repeat(batch["label"], 6)
  np.testing.assert_allclose(
    terms["triplet"], losses.batch_hard_triplet(pooled, labels, margin=0.3), rtol=1e-5
  )
  pairs = [
    losses.center_guided_pair_mining(split(original), split(x), batch["label"], margin=0.2)
    for x in (first, second)
  ]
  np.testing.assert_allclose(terms["cpm"], 0.8 * sum(pairs), rtol=1e-5)
  expected = 0.01 * losses.orthogonality(first, second)
  np.testing.assert_allclose(terms["orthogonality"], expected, rtol=1e-5)


def test_dropout_is_drawn_from_the_steps_key():
  method, batch, variables = full()
  compute = jax.jit(lambda seed: loss(method, variables, batch, seed).loss)
  first, again, other = (compute(seed) for seed in (0, 0, 1))
  assert first == again
  assert first != other


def test_attention_is_the_energy_of_each_embedding():
  method, batch, variables = full()
  maps = jax.jit(method.attention, static_argnums=2)(variables, batch["visible"], "visible")
  features = jax.jit(method.forward_features, static_argnums=2)(
    variables, batch["visible"], "visible"
  )
  assert set(maps) == {"original", "branch 1", "branch 2"}
  expected = np.linalg.norm(features[..., CHANNELS : 2 * CHANNELS], axis=-1)
  np.testing.assert_allclose(maps["branch 1"], expected, rtol=1e-5)


def mfa(high, low):
  """Counts the parameters of a block: CNL, then PNL with half the channels."""
  widths = (low, low // 2)
  return sum(2 * (low * k + k) + high * k + k + k * high + 3 * high for k in widths)


def dee(c):
  return 2 * (3 * 9 * c * c // 4 + c * c // 4 + c)


@pytest.mark.parametrize(
  "options, expected",
  [
    # A ResNet-50 and a second stem, neck and classifier.
    (deen.VARIANTS["base"], 23_508_032 + 9_536 + 2_048 * 396),
    (
      {},
      23_508_032 + 9_536 + 2_048 * 396 + mfa(256, 64) + mfa(512, 256) + mfa(1024, 512) + dee(1024),
    ),
    # Without stage 4: 14,964,736 fewer.
    (
      {"num_stages": 3},
      23_508_032 - 14_964_736 + 9_536 + 1_024 * 396 + mfa(256, 64) + mfa(512, 256) + dee(512),
    ),
  ],
)
def test_parameter_counts(options, expected):
  method = methods.create({"name": "deen", **options}, num_classes=395, steps_per_epoch=1)
  variables = jax.eval_shape(method.init, jax.random.key(0), make_batch(2, (64, 32)))
  found = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(variables["params"]))
  assert found == expected
