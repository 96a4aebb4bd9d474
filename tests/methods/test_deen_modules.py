"""CNL, PNL, MFA and DEE against the authors' modules, and the two reshapes of PNL."""

import dataclasses
import json

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.methods.deen.dee import DEE
from vireid_jax.methods.deen.mfa import CNL, MFA, PNL
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics

DOUBLE = Numerics("float64", "xla", unbiased_variance=True)
# The module, its path in the network, and the authors' name of that path.
MODULES = {
  "CNL_flag0": (CNL(1, DOUBLE), ("aggregate_0", "cnl"), "MFA1.CNL"),
  "CNL_flag1": (CNL(2, DOUBLE), ("aggregate_0", "cnl"), "MFA1.CNL"),
  "PNL": (PNL("published", DOUBLE), ("aggregate_0", "pnl"), "MFA1.PNL"),
  "MFA_flag0": (MFA(1, "published", DOUBLE), ("aggregate_0",), "MFA1"),
  "MFA_flag1": (MFA(2, "published", DOUBLE), ("aggregate_0",), "MFA1"),
  "DEE": (DEE(0.0, DOUBLE), ("expand",), "DEE"),
}


def table_for(name):
  """Returns DEEN's table, for the paths and names of one module."""
  _, inside, prefix = MODULES[name]
  table = convert.name_table("deen")

  def rule(path):
    full = table.rule((path[0], "backbone", *inside, *path[1:]))
    return full and name + full.removeprefix(prefix)

  return dataclasses.replace(table, rule=rule)


def to_ours(array):
  return jnp.asarray(golden_models.images(array, np.float64))


def to_theirs(array):
  return np.asarray(array).transpose(0, 3, 1, 2)


def drawn_weights(name, reference):
  named = zip(reference["weight_names"], reference["weight_shapes"], strict=True)
  return {
    key: golden_models.draw(key, tuple(json.loads(shape)))
    for key, shape in named
    if key.startswith(f"{name}.") and not key.endswith("num_batches_tracked")
  }


def run(name, train):
  """Returns (output, gradients of the inputs and by the authors' names, updated statistics)."""
  module, _, _ = MODULES[name]
  reference = golden_models.load("deen_modules")
  inputs = [to_ours(reference[f"{name}_{key}"]) for key in inputs_of(name)]
  drawn = drawn_weights(name, reference)
  shapes = jax.eval_shape(lambda *x: module.init(jax.random.key(0), *x, train=False), *inputs)
  variables, ignored = convert.import_weights(shapes, drawn, table_for(name))
  assert not ignored
  statistics = {key: value for key, value in variables.items() if key != "params"}

  def forward(params, *inputs):
    everything = {"params": params, **statistics}
    return module.apply(everything, *inputs, train=train, mutable=["batch_stats"])

  @jax.jit
  def compute(params, inputs):
    output, pull, updates = jax.vjp(forward, params, *inputs, has_aux=True)
    return output, pull(expanded(name, to_ours(reference[f"{name}_cotangent"]))), updates

  output, (by_params, *by_inputs), updates = compute(variables["params"], inputs)
  return (
    in_thirds(name, to_theirs(output)),
    [to_theirs(x) for x in by_inputs],
    convert.export_weights({"params": jax.tree.map(np.asarray, by_params)}, table_for(name)),
    convert.export_weights(jax.tree.map(np.asarray, dict(updates)), table_for(name)),
  )


def inputs_of(name):
  return ("high",) if name == "DEE" else ("high", "low")


def expanded(name, rows):
  """Orders DEE's rows as ours: the three maps of an image are neighbours."""
  return _exchange(rows, 3, -1) if name == "DEE" else rows


def in_thirds(name, rows):
  """Undoes `expanded`."""
  return _exchange(rows, -1, 3) if name == "DEE" else rows


def _exchange(rows, outer, inner):
  return rows.reshape(outer, inner, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)


CASES = [
  (name, mode) for name in MODULES for mode in ("eval", "train") if (name, mode) != ("DEE", "train")
]


@pytest.mark.parametrize("name, mode", CASES)
def test_equal_to_the_authors_in_float64(name, mode):
  reference = golden_models.load("deen_modules")
  with jax.enable_x64(True):
    output, by_inputs, by_weights, statistics = run(name, mode == "train")
  ours = {f"{name}_{mode}_output": output}
  ours |= {
    f"{name}_{mode}_{key}_grad": g for key, g in zip(inputs_of(name), by_inputs, strict=True)
  }
  ours |= {f"{name}_{mode}_grad.{key}": value for key, value in by_weights.items()}
  if mode == "train":
    ours |= {f"{name}_train_buffer.{key}": value for key, value in statistics.items()}
  theirs = {key for key in reference.files if key.startswith(f"{name}_{mode}_")}
  assert set(ours) == theirs
  for key, value in ours.items():
    # The gradient of a bias before batch statistics is rounding noise in both.
    noise = 1e-8 if key.endswith("W.0.bias") and mode == "train" else 0
    scale = np.abs(reference[key]).max()
    assert np.abs(value - reference[key]).max() <= 1e-9 * scale + noise, key


def apply_pnl(reshape, high, low):
  module = PNL(reshape, Numerics("float32", "xla"))
  variables = module.init(jax.random.key(0), high, low, train=False)
  params = dict(variables["params"])
  params["norm"] = {**params["norm"], "scale": jnp.ones(high.shape[-1])}
  return module, {**variables, "params": params}


def test_clean_reshape_compares_all_positions():
  rng = np.random.default_rng(0)
  high, low = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((2, 3, 1, 6), (2, 3, 3, 4)))
  module, variables = apply_pnl("clean", high, low)
  result = module.apply(variables, high, low, train=False)
  p = variables["params"]
  theta, phi, g = (
    np.asarray(x).reshape(2, -1, x.shape[-1]) @ p[name]["kernel"][0, 0]
    for name, x in (("theta", high), ("phi", low), ("g", low))
  )
  y = np.einsum("npc,nqc->npq", theta, phi) / 9 @ g
  expected = y.reshape(2, 3, 1, 2) @ p["out"]["kernel"][0, 0] / np.sqrt(1 + 1e-5) + high
  np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_published_reshape_needs_an_even_number_of_positions():
  high, low = jnp.ones((1, 3, 1, 6)), jnp.ones((1, 3, 3, 4))
  with pytest.raises(UserError, match=r"9 positions|3 positions.*method\.pnl_reshape='clean'"):
    PNL("published").init(jax.random.key(0), high, low, train=False)


def test_blocks_start_as_the_identity():
  high, low = jax.random.normal(jax.random.key(0), (2, 4, 2, 6)), jnp.ones((2, 8, 4, 4))
  module = MFA(2, numerics=Numerics("float32", "xla"))
  variables = module.init(jax.random.key(1), high, low, train=False)
  np.testing.assert_array_equal(module.apply(variables, high, low, train=False), high)


def test_dropout_acts_on_the_original_too_and_in_training_only():
  x = jnp.ones((2, 4, 4, 8))
  module = DEE(0.5, Numerics("float32", "xla"))
  variables = module.init(jax.random.key(0), x, train=False)
  rngs = {"dropout": jax.random.key(1)}
  trained = module.apply(variables, x, train=True, rngs=rngs).reshape(2, 3, 4, 4, 8)
  assert set(np.unique(trained[:, 0])) == {0.0, 2.0}
  tested = module.apply(variables, x, train=False).reshape(2, 3, 4, 4, 8)
  np.testing.assert_array_equal(tested[:, 0], x)
