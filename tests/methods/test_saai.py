"""SAAI's options, variants and parts: what is built, what trains, what a feature needs."""

import functools

import config_files
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_methods
from small_methods import make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError
from vireid_jax.methods import common, saai
from vireid_jax.models.two_stream import merge

RESNET_50 = 23_508_032
MAMS = 2 * 1024 * 64 + 2 * 2048 * 128
make = functools.partial(small_methods.make, "saai")


@functools.cache
def full():
  method, batch = make(), make_batch()
  variables = jax.jit(method.init)(jax.random.key(0), batch)
  return method, batch, variables


@functools.cache
def output():
  method, batch, variables = full()

  @jax.jit
  def run(params):
    rest = {kind: values for kind, values in variables.items() if kind != "params"}
    found = method.loss(
      {"params": params, **rest}, batch, rngs=jax.random.key(1), step=jnp.int32(0)
    )
    return found.loss, found

  (_, found), gradients = jax.jit(jax.value_and_grad(run, has_aux=True))(variables["params"])
  return found, flax.traverse_util.flatten_dict(gradients, sep="/")


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
  "variant, parameters, averages",
  [
    # Prototypes and 18 x 9 positions of 2,048; two necks and three classifiers on 16,384 features.
    ("", RESNET_50 + MAMS + 169 * 2048 + 16_384 * (2 + 3 * 395), 2 * 16_384 * 395),
    ("center", RESNET_50 + MAMS + 169 * 2048 + 16_384 * 397, 0),
    ("mam", RESNET_50 + MAMS + 2048 * 397, 0),
    ("base", RESNET_50 + 2048 * 397, 0),
  ],
)
def test_parameter_counts(variant, parameters, averages):
  options = saai.VARIANTS.get(variant, {})
  method = methods.create({"name": "saai", **options}, num_classes=395, steps_per_epoch=1)
  variables = jax.eval_shape(method.init, jax.random.key(0), make_batch(2, (288, 144)))
  assert count(variables["params"]) == parameters
  assert count(variables.get("mean_classifiers", {})) == averages


def test_every_parameter_gets_a_gradient():
  _, gradients = output()
  assert {"safl/prototypes", "safl/position", "head/visible/scale"} <= gradients.keys()
  assert [name for name, gradient in gradients.items() if not np.any(gradient)] == []


def test_the_weight_of_the_diversity_is_applied_twice():
  method, batch, variables = full()
  attention = jax.jit(
    lambda v: method.network.apply(
      v, batch["visible"], batch["infrared"], jnp.float32(0), mutable=True
    )[0]["attention"]
  )(variables)
  term = output()[0].terms["part_diversity"]
  np.testing.assert_allclose(term, 0.25 * losses.part_diversity(attention), rtol=1e-5)
  assert attention.shape == (8, 2, 1, 7)


def test_terms_and_averages_of_a_step():
  _, _, variables = full()
  found, _ = output()
  assert set(found.terms) == {
    *("identity", "visible_identity", "infrared_identity", "mutual"),
    *("center_separation", "part_diversity"),
  }
  moved = found.collections["mean_classifiers"]["modality_classifiers"]
  for name, kernel in variables["params"]["modality_classifiers"].items():
    np.testing.assert_allclose(moved[name], kernel, rtol=1e-6)  # equal at first


def test_each_modality_is_normalised_by_its_own_statistics():
  method, _, variables = full()
  head = method.network.head
  pooled = jax.random.normal(jax.random.key(2), (8, 512))
  shifted = merge(pooled[:4], 100 + 5 * pooled[4:])
  state = {kind: values["head"] for kind, values in variables.items() if "head" in values}
  (after, _), updates = head.apply(state, shifted, train=True, mutable=["batch_stats"])
  for rows in (after[0::2], after[1::2]):
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-3)
  means = updates["batch_stats"]
  assert abs(means["visible"]["mean"].mean()) < 1 < means["infrared"]["mean"].mean()


def test_a_part_of_an_image_depends_on_where_it_is():
  """The position decides where a part looks; the pooled value has none of it."""
  method, _, variables = full()
  safl, params = method.network.safl, variables["params"]["safl"]
  x = jnp.ones((1, 2, 1, 64))
  feature, attention = safl.apply({"params": params}, x)
  assert abs(attention[0, 0, 0] - attention[0, 1, 0]).max() > 1e-3
  np.testing.assert_allclose(
    feature[0].reshape(8, 64)[:7], np.repeat(attention.mean((1, 2)).T, 64, 1), rtol=1e-5
  )


def test_the_update_rate_falls_after_99_epochs():
  method = make()
  rates = [float(common.average_rate(method, jnp.int32(3 * epoch))) for epoch in (0, 98, 198)]
  assert rates == pytest.approx([0.02, 0.02, 0.02 * 100 / 200])


def test_diversity_needs_two_parts():
  with pytest.raises(UserError, match=r"compares parts, but parts = 1; set method.diversity"):
    make(parts=1)
  assert make(parts=0, diversity_weight=0.0).attention({}, None, "visible") == {}


@pytest.mark.parametrize("variant", saai.VARIANTS)
def test_variants_are_built_from_the_synthetic_config(variant):
  config = config_files.load("saai_synthetic", f"{variant},smoke")
  for key, value in saai.VARIANTS[variant].items():
    assert config.method[key] == value


def test_configs_have_the_published_settings():
  config = config_files.load("saai_sysu")
  assert tuple(config.data.image_size) == (288, 144)
  assert (config.sampler.num_identities, config.sampler.num_instances) == (10, 4)
  assert config.method.diversity_weight == 0.5 and config.method.update_rate == 0.02
  regdb = config_files.load("saai_regdb")
  assert (regdb.sampler.num_identities, regdb.method.mam) == (4, False)
