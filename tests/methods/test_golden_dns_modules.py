"""HSS and CSS against the authors' modules: outputs, gradients and running statistics."""

import json

import golden_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.methods.dns.css import CSS
from vireid_jax.methods.dns.hss import HSS
from vireid_jax.models import convert
from vireid_jax.models.numerics import Numerics

GOLDEN = golden_models.load("dns_modules")
NUMERICS = Numerics("float64", unbiased_variance=True)
# Where our table has the modules, and how the golden file calls them.
PLACES = {
  "HSS": (HSS(NUMERICS), "hss3", "base.HSS3."),
  "CSS": (CSS(0.0, NUMERICS), "shift", "CSS."),
}


def nchw(x):
  return np.asarray(x).transpose(0, 3, 1, 2) if np.ndim(x) == 4 else np.asarray(x)


def nhwc(x):
  return jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x, jnp.float64)


def placed(variables, place):
  return {kind: {"backbone": {place: values}} for kind, values in variables.items()}


def imported(name):
  """Returns the module's drawn variables, moved by the importer's table."""
  module, place, prefix = PLACES[name]
  table, size = convert.name_table("dns"), GOLDEN[f"{name}_input"]
  abstract = jax.eval_shape(lambda: module.init(jax.random.key(0), nhwc(size), train=False))
  weights = {
    prefix + str(tensor).removeprefix(f"{name}."): golden_models.draw(
      str(tensor), json.loads(shape)
    )
    for tensor, shape in zip(GOLDEN["weight_names"], GOLDEN["weight_shapes"], strict=True)
    if str(tensor).startswith(name)
  }
  variables, ignored = convert.import_weights(placed(abstract, place), weights, table)
  assert [key.rsplit(".", 1)[1] for key in ignored] == ["num_batches_tracked"] * (name == "HSS")
  return {kind: values["backbone"][place] for kind, values in variables.items()}


def run(name, train):
  """Returns output, updated statistics, and gradients of sum(output * cotangent)."""
  module = PLACES[name][0]
  cotangent = nhwc(GOLDEN[f"{name}_cotangent"])
  variables = imported(name)
  rest = {kind: values for kind, values in variables.items() if kind != "params"}

  def loss(params, x):
    output, updates = module.apply(
      {"params": params, **rest}, x, train=train, mutable=["batch_stats"]
    )
    return jnp.sum(output * cotangent), (output, updates)

  gradient = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
  gradients, (output, updates) = gradient(variables["params"], nhwc(GOLDEN[f"{name}_input"]))
  return output, updates, gradients


def assert_near(ours, theirs):
  ours = np.asarray(ours)
  assert ours.dtype == np.float64
  assert np.abs(ours - theirs).max() <= 1e-9 * np.abs(theirs).max()


@pytest.mark.parametrize("name, mode", [("HSS", "eval"), ("HSS", "train"), ("CSS", "eval")])
def test_module_equals_the_authors(name, mode):
  _, place, prefix = PLACES[name]
  with jax.enable_x64(True):
    output, updates, (by_params, by_input) = run(name, mode == "train")
    exported = convert.export_weights(
      placed({"params": by_params, **updates}, place), convert.name_table("dns")
    )
  assert_near(nchw(output), GOLDEN[f"{name}_{mode}_output"])
  assert_near(nchw(by_input), GOLDEN[f"{name}_{mode}_input_grad"])
  for tensor, ours in exported.items():
    tensor = f"{name}.{tensor.removeprefix(prefix)}"
    if "running" in tensor and mode == "eval":
      continue
    theirs = GOLDEN[f"{name}_{mode}_{'buffer' if 'running' in tensor else 'grad'}.{tensor}"]
    assert_near(ours if theirs.ndim else np.linalg.norm(ours), theirs)


def test_hss_equals_its_formula_with_the_whole_map():
  """u = x + p q is written out here; the module only needs its means."""
  x = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)
  module = HSS(Numerics("float32"))
  variables = module.init(jax.random.key(0), x, train=False)

  def softmax(values):
    return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

  p, q = softmax(x.max(axis=2)), softmax(x.max(axis=1))
  u = x + p[:, :, None] * q[:, None]
  squeezed = np.concatenate([u.mean(axis=2), u.mean(axis=1)], axis=1)
  params = variables["params"]
  z = squeezed @ params["squeeze"]["kernel"][0, 0] / np.sqrt(1 + 1e-5)
  t = z * np.clip(z + 3, 0, 6) / 6
  rows = 1 / (1 + np.exp(-t[:, :4] @ params["rows"]["kernel"][0, 0]))
  columns = 1 / (1 + np.exp(-t[:, 4:] @ params["columns"]["kernel"][0, 0]))
  expected = x * rows[:, :, None] * columns[:, None]
  np.testing.assert_allclose(module.apply(variables, x, train=False), expected, atol=1e-6)


def test_css_drops_in_training_only_and_by_its_key():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)), jnp.float32)
  module = CSS(0.5, Numerics("float32"))
  variables = module.init(jax.random.key(0), x, train=False)

  def apply(seed, train=True):
    return module.apply(variables, x, train=train, rngs={"dropout": jax.random.key(seed)})

  np.testing.assert_array_equal(apply(1), apply(1))
  assert np.any(apply(1) != apply(2))
  assert np.mean(apply(1) == 0) == pytest.approx(0.5, abs=0.3)
  np.testing.assert_array_equal(apply(1, train=False), apply(2, train=False))
