"""CAJ: its network, its three groups, and what its options add."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_methods import make, make_batch

from vireid_jax import losses, methods
from vireid_jax.models.two_stream import merge, split


@functools.cache
def drawn():
  """Returns the method, a batch, and variables with a classifier that is sure of itself."""
  method, batch = make("caj"), make_batch()
  variables = jax.jit(method.init)(jax.random.key(0), batch)
  variables["params"]["head"]["classifier"]["kernel"] *= 100
  return method, batch, variables


@functools.cache
def forward():
  """Returns pooled features and logits [3b, ...] of the batch, merged, and its labels."""
  method, batch, variables = drawn()
  visible = merge(batch["visible"], batch["visible_2"])
  apply = jax.jit(functools.partial(method.network.apply, mutable=["batch_stats"]))
  (pooled, logits), _ = apply(variables, visible, batch["infrared"])
  return pooled, logits, jnp.repeat(batch["label"], 3)


def terms(batch=None, **options):
  _, usual, variables = drawn()
  method = make("caj", **options)
  batch = batch or usual
  return jax.jit(lambda v, b: method.loss(v, b, rngs=None, step=0).terms)(variables, batch)


def test_the_variables_are_those_of_agw():
  shapes = [
    jax.eval_shape(
      methods.create({"name": name}, num_classes=395, steps_per_epoch=1).init,
      jax.random.key(0),
      make_batch(2, (64, 32)),
    )
    for name in ("agw", "caj")
  ]
  assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])


def test_the_losses_see_all_three_groups():
  pooled, logits, labels = forward()
  found = terms()
  assert set(found) == {"identity", "enhanced_squared_difference"}
  expected = losses.cross_entropy(logits, labels)
  np.testing.assert_allclose(found["identity"], expected, rtol=1e-5)
  expected = losses.enhanced_squared_difference(pooled, labels)
  np.testing.assert_allclose(found["enhanced_squared_difference"], expected, rtol=1e-4)
  wrt = terms(**methods.variants("caj")["wrt"])
  expected = losses.weighted_regularized_triplet(pooled, labels, legacy=True)
  np.testing.assert_allclose(wrt["wrt_legacy"], expected, rtol=1e-4)


def test_either_view_passes_the_visible_stem():
  _, batch, _ = drawn()
  exchanged = {**batch, "visible": batch["visible_2"], "visible_2": batch["visible"]}
  one, other = terms(), terms(exchanged)
  np.testing.assert_allclose(one["identity"], other["identity"], rtol=1e-5)
  with_infrared = {**batch, "infrared": batch["visible_2"], "visible_2": batch["infrared"]}
  assert abs(one["identity"] - terms(with_infrared)["identity"]) > 1e-5


@pytest.mark.parametrize(
  "student, pairs",
  [("weak", [(0, 1)]), ("weak_and_infrared", [(0, 1), (2, 1)]), ("strong", [(1, 0)])],
)
def test_students_learn_from_their_teachers(student, pairs):
  views = split(forward()[1], 3)
  found = terms(weak_to_strong={"weight": 2.0, "student": student})["weak_to_strong"]
  expected = sum(losses.soft_cross_entropy(views[one], views[other]) for one, other in pairs)
  np.testing.assert_allclose(found, 2 * expected, rtol=1e-5)


def test_the_divergence_pulls_the_weak_view_to_the_infrared_one():
  weak, _, infrared = split(forward()[1], 3)
  found = terms(divergence={"weight": 0.5, "temperature": 2.0})["divergence"]
  expected = losses.softened_divergence(weak, infrared, temperature=2.0)
  np.testing.assert_allclose(found, expected / 2, rtol=1e-4)


def test_a_teacher_has_no_gradient():
  logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 5)), jnp.float32)
  for loss in (losses.soft_cross_entropy, losses.softened_divergence):
    student, teacher = jax.grad(loss, argnums=(0, 1))(*logits)
    assert np.abs(student).max() > 1e-3
    assert not np.any(teacher)
