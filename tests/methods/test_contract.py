"""Every module in `methods/` keeps the contract; AGW's sizes are asserted."""

import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_methods import make, make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError

FEATURES = 64


@functools.cache
def drawn(name):
  method, batch = make(name), make_batch()
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def only_read(variables, function):
  """Returns the variables without the arrays that a function of them does not read."""
  traced = jax.make_jaxpr(function)(variables).jaxpr
  read = {id(atom) for equation in traced.eqns for atom in equation.invars}
  leaves = flax.traverse_util.flatten_dict(variables)
  places = [tuple(key.key for key in path) for path, _ in jax.tree.leaves_with_path(variables)]
  kept = [place for place, given in zip(places, traced.invars, strict=True) if id(given) in read]
  return flax.traverse_util.unflatten_dict({place: leaves[place] for place in kept})


@pytest.mark.parametrize("name", methods.names())
class TestContract:
  def test_loss_is_finite_sum_of_terms_and_keeps_collections(self, name):
    method, batch, variables = drawn(name)
    assert {"params", "batch_stats"} <= set(variables)
    output = jax.jit(lambda v: method.loss(v, batch, rngs=jax.random.key(1), step=jnp.int32(0)))(
      variables
    )
    assert output.terms and np.isfinite(output.loss)
    np.testing.assert_allclose(output.loss, sum(output.terms.values()), rtol=1e-6)
    old = {k: v for k, v in variables.items() if k != "params"}
    assert jax.tree.map(jnp.shape, output.collections) == jax.tree.map(jnp.shape, old)
    changed = jax.tree.map(
      lambda a, b: bool(np.any(a != b)), output.collections["batch_stats"], old["batch_stats"]
    )
    assert any(jax.tree.leaves(changed))

  def test_embedding_is_per_image_and_float32(self, name):
    method, batch, variables = drawn(name)
    embed = jax.jit(method.embed, static_argnums=2)
    shuffle = jnp.array([2, 0, 3, 1])
    for modality in ("visible", "infrared"):
      together = embed(variables, batch[modality], modality)
      shuffled = embed(variables, batch[modality][shuffle], modality)
      assert together.dtype == jnp.float32 and together.ndim == 2
      np.testing.assert_allclose(together[shuffle], shuffled, atol=1e-4)

  @pytest.mark.parametrize("modality", ["visible", "infrared"])
  def test_one_image_needs_nothing_that_its_feature_does_not_read(self, name, modality):
    method, batch, variables = drawn(name)
    image = batch[modality][:1]
    embed = jax.jit(method.embed, static_argnums=2)
    needed = only_read(variables, lambda v: method.embed(v, image, modality))
    assert count(needed["params"]) < count(variables["params"])
    np.testing.assert_array_equal(embed(needed, image, modality), embed(variables, image, modality))

  def test_unknown_option_names_the_nearest(self, name):
    with pytest.raises(UserError, match="has no option 'widht'; did you mean 'width'"):
      make(name, widht=3)

  def test_defaults_are_the_options(self, name):
    options = methods.defaults(name)
    assert "num_classes" not in options
    assert methods.create(
      {"name": name, **options}, num_classes=2, steps_per_epoch=1
    ) == methods.create({"name": name}, num_classes=2, steps_per_epoch=1)


def test_unknown_method_names_the_nearest():
  with pytest.raises(UserError, match="unknown method 'agv'; did you mean 'agw'"):
    methods.create({"name": "agv"}, num_classes=2, steps_per_epoch=1)


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
  "options, expected",
  [
    # ResNet-50 without classifier 23,508,032; second stem 9,536; five non-local blocks: three 1x1
    # convolutions to one channel, one back, its norm: 2 x 3,587 + 3 x 7,171; neck 2,048;
    # classifier 2,048 x 395.
    ({}, 23_508_032 + 9_536 + 2 * (3 * 513 + 4 * 512) + 3 * (3 * 1025 + 4 * 1024) + 2_048 * 396),
    ({"non_local": (0, 0, 0, 0)}, 23_508_032 + 9_536 + 2_048 * 396),
    ({"depth": 18, "non_local": (0, 0, 0, 0)}, 11_176_512 + 9_536 + 512 * 396),
  ],
)
def test_agw_parameter_counts(options, expected):
  method = methods.create({"name": "agw", **options}, num_classes=395, steps_per_epoch=1)
  variables = jax.eval_shape(method.init, jax.random.key(0), make_batch(2, (64, 32)))
  assert count(variables["params"]) == expected


def test_agw_terms_carry_their_weights():
  method, batch, variables = drawn("agw")
  other = make("agw", metric={"name": "triplet", "weight": 2.0}, label_smoothing=0.1)

  def terms(method):
    return jax.jit(lambda v: method.loss(v, batch, rngs=None, step=0).terms)(variables)

  first, second = terms(method), terms(other)
  assert set(first) == {"identity", "wrt_legacy"}
  assert set(second) == {"identity", "triplet"}
  pooled = jax.jit(
    lambda v: method.network.apply(v, batch["visible"], batch["infrared"], mutable=["batch_stats"])[
      0
    ][0]
  )(variables)
  labels = jnp.repeat(batch["label"], 2)
  np.testing.assert_allclose(
    second["triplet"], 2 * losses.batch_hard_triplet(pooled, labels, margin=0.3), rtol=1e-4
  )


def test_agw_feature_before_and_after_the_neck():
  after, batch, variables = drawn("agw")
  before = make("agw", feature="before_neck")
  variables = jax.tree.map(lambda x: x, variables)
  variables["batch_stats"]["head"]["neck"] = {
    "mean": jnp.full(FEATURES, 0.5),
    "var": jnp.full(FEATURES, 4.0),
  }
  pooled, result = (
    jax.jit(method.embed, static_argnums=2)(variables, batch["visible"], "visible")
    for method in (before, after)
  )
  scale = variables["params"]["head"]["neck"]["scale"]
  np.testing.assert_allclose(result, (pooled - 0.5) / np.sqrt(4 + 1e-5) * scale, atol=1e-5)
