"""The optional members by which people see where a network looks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax import methods

TINY = {"depth": 18, "width": 8, "dtype": "float32"}
NAMES = [name for name in methods.names() if hasattr(methods._find(name), "last_map")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("feature", ["after_neck", "before_neck"])
def test_the_two_pieces_are_the_whole(name, feature):
  config = {"name": name, "feature": feature, **TINY}
  method = methods.create(config, num_classes=3, steps_per_epoch=5)
  image = jax.random.normal(jax.random.key(1), (2, 48, 24, 3))
  batch = {"visible": image, "infrared": -image, "label": jnp.arange(2)}
  variables = jax.jit(method.init)(jax.random.key(0), batch)

  @jax.jit
  def both(variables, image):
    last = method.last_map(variables, image, "infrared")
    whole = method.embed(variables, image, "infrared")
    own = method.attention(variables, image, "infrared") if hasattr(method, "attention") else {}
    return last, method.embed_map(variables, last, "infrared"), whole, own

  last, pieced, whole, own = both(variables, image)
  assert last.shape[:3] == (2, 3, 2)
  assert np.asarray(whole).std() > 0
  np.testing.assert_allclose(pieced, whole, rtol=1e-4, atol=1e-5)
  for values in own.values():
    assert values.shape == (2, 3, 2) and np.asarray(values).min() >= 0


def test_all_methods_but_those_without_a_map_are_covered():
  assert set(NAMES) == {"agw", "mpanet", "mun", "tmpa"}


def test_mpanet_shows_its_masks():
  method = methods.create({"name": "mpanet", "parts": 2, **TINY}, num_classes=3, steps_per_epoch=5)
  image = jax.random.normal(jax.random.key(1), (2, 48, 24, 3))
  variables = method.init(jax.random.key(0), {"visible": image, "infrared": image})
  maps = method.attention(variables, image, "visible")
  assert list(maps) == ["pattern 1", "pattern 2"]
  masks = method.network.apply(variables, image, method=type(method.network).masks)
  np.testing.assert_array_equal(maps["pattern 2"], masks[..., 1])
  assert float(masks.min()) > 0 and float(masks.max()) < 1  # sigmoids


def test_tmpa_shows_shares_of_its_attention():
  config = {"name": "tmpa", "split": "stage3", **TINY}
  method = methods.create(config, num_classes=3, steps_per_epoch=5)
  image = jax.random.normal(jax.random.key(1), (2, 48, 24, 3))
  batch = {"visible": image, "infrared": image}
  variables = jax.jit(method.init)(jax.random.key(0), batch)
  assert "intermediates" not in variables  # what is sown is not kept
  found = {
    side: jax.jit(method.attention, static_argnums=2)(variables, image, side)["attention"]
    for side in ("visible", "infrared")
  }
  np.testing.assert_allclose(found["visible"].sum(axis=(1, 2)), 1, rtol=1e-5)
  assert not np.allclose(found["visible"], found["infrared"])
  plain = methods.create({**config, "mft": "convolution"}, num_classes=3, steps_per_epoch=5)
  assert plain.attention({}, image, "visible") == {}
