"""DNS's options, variants and parts: what is built, what trains, what a feature needs."""

import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_methods import make, make_batch

from vireid_jax import losses, methods
from vireid_jax.common.errors import UserError
from vireid_jax.methods import dns
from vireid_jax.models.two_stream import merge, split

ALL = {"identity", "circle", "alignment", "distillation"}
TERMS = {
  "full": ALL,
  "strong": {"identity", "circle"},
  "hss": {"identity", "circle"},
  "alignment": ALL - {"distillation"},
  "distillation": ALL - {"alignment"},
  "no_hss": ALL,
  "no_css": ALL,
}


@functools.cache
def full():
  batch, method = make_batch(), make("dns")
  return method, batch, jax.jit(method.init)(jax.random.key(0), batch)


def loss(method, variables, batch, seed=0):
  return method.loss(variables, batch, rngs=jax.random.key(seed), step=jnp.int32(0))


@functools.cache
def compiled():
  method, batch, _ = full()
  return jax.jit(lambda variables, seed: loss(method, variables, batch, seed))


@pytest.mark.parametrize("variant", TERMS)
def test_a_variant_has_its_terms_and_parts(variant):
  assert TERMS.keys() == {"full", *dns.VARIANTS}
  method, batch = make("dns", **dns.VARIANTS.get(variant, {})), make_batch()
  variables = jax.eval_shape(method.init, jax.random.key(0), batch)
  output = jax.eval_shape(functools.partial(loss, method, batch=batch), variables)
  assert output.terms.keys() == TERMS[variant]
  backbone = variables["params"]["backbone"]
  assert ("hss3" in backbone) == ("hss4" in backbone) == method.hss
  assert ("shift" in backbone) == method.css
  assert ("modality_classifiers" in variables["params"]) == ("distillation" in output.terms)


def test_shifting_that_no_term_reads_is_refused():
  with pytest.raises(UserError, match=r"set method\.css=False too"):
    make("dns", alignment_weight=0.0, distillation_weight=0.0)


def test_a_feature_needs_its_own_stream_alone():
  """Bit for bit the same feature from one image, without all that only training uses."""
  method, batch, variables = full()
  embed = jax.jit(method.embed, static_argnums=2)
  for modality, other in (("visible", "infrared"), ("infrared", "visible")):
    whole = embed(variables, batch[modality][:1], modality)
    unused = ("shift", other)
    kept = {
      kind: flax.traverse_util.unflatten_dict(
        {
          path: leaf
          for path, leaf in flax.traverse_util.flatten_dict(variables[kind]).items()
          if (path[0] == "backbone" and path[1] not in unused) or path[:2] == ("head", "neck")
        }
      )
      for kind in ("params", "batch_stats")
    }
    assert len(jax.tree.leaves(kept)) < len(jax.tree.leaves(variables))
    np.testing.assert_array_equal(embed(kept, batch[modality][:1], modality), whole)


def test_every_parameter_gets_a_gradient():
  method, batch, variables = full()
  rest = {kind: values for kind, values in variables.items() if kind != "params"}

  def total(params):
    return loss(method, {"params": params, **rest}, batch).loss

  gradients = jax.jit(jax.grad(total))(variables["params"])
  gradients = flax.traverse_util.flatten_dict(gradients, sep="/")
  assert "head/neck/bias" in gradients
  assert [name for name, gradient in gradients.items() if not np.any(gradient)] == []


def test_every_term_carries_its_weight():
  """The circle loss is divided by the rows, once more than its mean."""
  method, batch, variables = full()

  @jax.jit
  def both(variables):
    outputs, _ = method.network.apply(
      variables,
      batch["visible"],
      batch["infrared"],
      mutable=["batch_stats", "mean_classifiers"],
      rngs={"dropout": jax.random.key(0)},
    )
    return outputs, loss(method, variables, batch).terms

  outputs, terms = both(variables)
  labels = merge(batch["label"], batch["label"])
  circle = losses.circle(outputs["after_neck"], labels, margin=0.45)
  np.testing.assert_allclose(terms["circle"], circle / 8, rtol=1e-5)
  spaces = split(outputs["pooled"]), split(outputs["shifted"])
  alignment = losses.domain_alignment(*spaces)
  np.testing.assert_allclose(terms["alignment"], 0.2 * alignment, rtol=1e-5)
  distillation = sum(
    losses.domain_distillation(logits[:2], logits[2:], batch["label"])
    for logits in outputs["modality_logits"]
  )
  np.testing.assert_allclose(terms["distillation"], distillation, rtol=1e-5)


def test_averages_move_once_a_step_although_two_features_are_scored():
  _, _, variables = full()
  zeros = jax.tree.map(jnp.zeros_like, variables["mean_classifiers"])
  output = compiled()({**variables, "mean_classifiers": zeros}, 0)
  moved = output.collections["mean_classifiers"]["modality_classifiers"]
  for name, kernel in variables["params"]["modality_classifiers"].items():
    np.testing.assert_allclose(moved[name], 0.2 * kernel, rtol=1e-6)


def test_the_trivial_value_is_what_equal_logits_give():
  method, logits, labels = make("dns", distillation_weight=2.0), jnp.zeros((4, 5)), jnp.arange(4)
  once = losses.domain_distillation((logits, logits), (logits, logits), labels)
  assert method.trivial_values["distillation"] == pytest.approx(2 * 2 * float(once), rel=1e-6)
  assert make("dns", **dns.VARIANTS["strong"]).trivial_values == {}


def test_dropout_is_drawn_from_the_steps_key():
  _, _, variables = full()
  first, again, other = (compiled()(variables, seed).loss for seed in (0, 0, 1))
  assert first == again
  assert first != other


@pytest.mark.parametrize(
  "variant, expected",
  [
    # Two stems and stages 1 and 2: 1,444,928 beside a ResNet-50's 23,508,032. Neck 2 x 2,048 and
    # classifier 2,048 x 395.
    ("strong", 23_508_032 + 1_444_928 + 4_096 + 2_048 * 395),
    # HSS: three 1x1 convolutions c to c / 32 and back, and a norm, for c of 1,024 and 2,048.
    ("hss", 23_508_032 + 1_444_928 + 4_096 + 2_048 * 395 + 3 * (1024 * 32 + 2048 * 64) + 192),
    # CSS: norm 2 x 2,048, 2,048 to 8,192 and back with biases. Two modality classifiers.
    (
      "full",
      23_508_032
      + 1_444_928
      + 4_096
      + 3 * 2_048 * 395
      + 3 * (1024 * 32 + 2048 * 64)
      + 192
      + 4_096
      + 2 * 2048 * 8192
      + 8192
      + 2048,
    ),
  ],
)
def test_parameter_counts(variant, expected):
  options = dns.VARIANTS.get(variant, {})
  method = methods.create({"name": "dns", **options}, num_classes=395, steps_per_epoch=1)
  variables = jax.eval_shape(method.init, jax.random.key(0), make_batch(2, (64, 32)))
  found = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(variables["params"]))
  assert found == expected
