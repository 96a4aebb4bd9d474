"""Names of the arrays of a pytree, such as 'params/backbone/conv1/kernel'."""

from collections.abc import Callable
from typing import Any

import jax


def named_leaves(tree: Any) -> dict[str, Any]:
  """Returns the leaves by name, in the order of `jax.tree.leaves`."""
  return {_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def map_named(function: Callable[[str, Any], Any], tree: Any) -> Any:
  """Returns the tree with each leaf replaced by function(name, leaf)."""
  return jax.tree.map_with_path(lambda path, leaf: function(_name(path), leaf), tree)


def _name(path: tuple) -> str:
  return jax.tree_util.keystr(path, simple=True, separator="/")
