"""Names of a pytree's arrays, whatever holds them."""

import flax.struct
import jax
import optax
from jax import numpy as jnp

from vireid_jax.common import tree_paths


@flax.struct.dataclass
class State:
  step: int
  params: dict


TREE = State(3, {"b": {"kernel": 1.0}, "a": [2, (4,)]})


def test_names_hold_keys_indices_and_fields_in_the_order_of_the_leaves():
  named = tree_paths.named_leaves(TREE)
  assert named == {"step": 3, "params/a/0": 2, "params/a/1/0": 4, "params/b/kernel": 1.0}
  assert list(named.values()) == jax.tree.leaves(TREE)


def test_a_state_of_an_optimiser_has_distinct_names():
  state = optax.adam(1e-3).init({"head": {"bias": jnp.zeros(2)}})
  named = tree_paths.named_leaves(state)
  assert list(named) == ["0/count", "0/mu/head/bias", "0/nu/head/bias"]


def test_a_map_sees_the_name_of_each_leaf():
  mapped = tree_paths.map_named(lambda name, leaf: f"{name}={leaf}", TREE)
  assert mapped.step == "step=3"
  assert mapped.params == {
    "b": {"kernel": "params/b/kernel=1.0"},
    "a": ["params/a/0=2", ("params/a/1/0=4",)],
  }
