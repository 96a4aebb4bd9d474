"""Readable summaries of a network."""

import collections
from typing import Any

import jax
import numpy as np

from vireid_jax.common import table, tree_paths
from vireid_jax.common.types import Variables

DEPTH = 3


def describe(variables: Variables) -> str:
  """Counts the parameters by module, three levels deep.

  Args:
    variables: All collections, arrays or shapes.

  Returns:
    A line per module, then the total and the other collections' sizes.
  """
  counts = collections.Counter()
  for name, leaf in tree_paths.named_leaves(variables["params"]).items():
    modules = name.split("/")[:-1]
    counts["/".join(modules[:DEPTH])] += _size(leaf)
  rows = [(name, f"{count:,}") for name, count in counts.items()]
  rows.append(("parameters", f"{counts.total():,}"))
  for name, tree in variables.items():
    if name != "params":
      rows.append((f"({name}", f"{sum(map(_size, jax.tree.leaves(tree))):,})"))
  return table.plain((), rows, "lr", indent="  ")


def list_shapes(variables: Variables) -> str:
  """Returns a line per array: collection/path, shape, dtype."""
  return "".join(
    f"{name}\t{tuple(leaf.shape)}\t{leaf.dtype}\n"
    for name, leaf in tree_paths.named_leaves(variables).items()
  )


def _size(leaf: Any) -> int:
  return int(np.prod(leaf.shape))
