"""The optional members by which people see where a network looks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_methods

from vireid_jax import methods
from vireid_jax.models.numerics import Numerics

TINY = Numerics("float32")
NAMES = [name for name in methods.names() if hasattr(methods.find(name), "forward_features")]


FEATURES = ("after_neck", "before_neck")
# Where the last stage has stride 2.
LAST_MAPS = {"mcja": (2, 2, 1)}


@pytest.mark.parametrize("name", NAMES)
def test_the_two_pieces_are_the_whole(name):
  by_feature = {feature: small_methods.make(name, TINY, feature=feature) for feature in FEATURES}
  image = jax.random.normal(jax.random.key(1), (2, 48, 24, 3))
  batch = {"visible": image, "visible_2": image, "infrared": -image, "label": jnp.arange(2)}
  any_method = by_feature["after_neck"]
  variables = jax.jit(any_method.init)(jax.random.key(0), batch)

  @jax.jit
  def compute(variables, image):
    """Both features of one network, compiled together."""
    last, pieced, whole = {}, {}, {}
    for feature, method in by_feature.items():
      last[feature] = method.forward_features(variables, image, "infrared")
      pieced[feature] = method.forward_head(variables, last[feature], "infrared")
      whole[feature] = method.embed(variables, image, "infrared")
    attention = getattr(any_method, "attention", None)
    return last, pieced, whole, attention(variables, image, "infrared") if attention else {}

  last, pieced, whole, own = compute(variables, image)
  # Patches without padding, or maps whose last pixels are padded.
  grid = any_method.token_grid((48, 24)) if hasattr(any_method, "token_grid") else None
  last_map = (2, *grid) if grid else LAST_MAPS.get(name, (2, 3, 2))
  for feature in FEATURES:
    assert last[feature].shape[:3] == last_map
    assert np.asarray(whole[feature]).std() > 0
    np.testing.assert_allclose(pieced[feature], whole[feature], rtol=1e-4, atol=1e-5)
  for values in own.values():
    assert values.shape == (2, *(grid or (3, 2))) and np.asarray(values).min() >= 0


def test_all_methods_but_those_without_a_map_are_covered():
  assert set(NAMES) == {
    *("agw", "caj", "deen", "dns", "mcja", "mpanet", "mun", "pmt", "saai", "tmpa")
  }


def test_mpanet_shows_its_masks():
  method = small_methods.make("mpanet", TINY, parts=2)
  image = jax.random.normal(jax.random.key(1), (2, 48, 24, 3))
  variables = jax.jit(method.init)(jax.random.key(0), {"visible": image, "infrared": image})

  @jax.jit
  def compute(variables):
    masks = method.network.apply(variables, image, method=type(method.network).masks)
    return method.attention(variables, image, "visible"), masks

  maps, masks = compute(variables)
  assert list(maps) == ["pattern 1", "pattern 2"]
  np.testing.assert_array_equal(maps["pattern 2"], masks[..., 1])
  assert float(masks.min()) > 0 and float(masks.max()) < 1  # sigmoids


def test_tmpa_shows_shares_of_its_attention():
  method = small_methods.make("tmpa", TINY, branch_stage=3)
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
  plain = small_methods.make("tmpa", TINY, branch_stage=3, mft="convolution")
  assert plain.attention({}, image, "visible") == {}
