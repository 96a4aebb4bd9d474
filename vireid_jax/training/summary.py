"""Readable summaries of a network."""

import collections
from typing import Any

import jax
import numpy as np

from vireid_jax.common import table, tree_paths
from vireid_jax.common.types import Variables

ROWS = 6
DEPTHS = (3, 2, 1)  # components of a module's path


def describe(variables: Variables) -> str:
  """Counts the parameters by module, in at most `ROWS` rows.

  Args:
    variables: All collections, arrays or shapes.

  Returns:
    A line per module, and a line with the total and the sizes of the other collections.
  """
  sizes = {name: _size(leaf) for name, leaf in tree_paths.named_leaves(variables["params"]).items()}
  rows = [(name, f"{count:,}") for name, count in _by_module(sizes).items()]
  words = [f"{sum(sizes.values()):,} parameters"]
  for name, tree in variables.items():
    if name != "params":
      words.append(f"{sum(map(_size, jax.tree.leaves(tree))):,} values in {name}")
  return f"{table.plain((), rows, 'lr', indent='  ')}\n{', '.join(words)}"


def list_shapes(variables: Variables) -> str:
  """Returns a line per array: collection/path, shape, dtype."""
  return "".join(
    f"{name}\t{tuple(leaf.shape)}\t{leaf.dtype}\n"
    for name, leaf in tree_paths.named_leaves(variables).items()
  )


def _by_module(sizes: dict[str, int]) -> dict[str, int]:
  """Sums by module, as deep as the rows suffice; small modules beyond them are one row."""
  for depth in DEPTHS:
    counts = collections.Counter()
    for name, size in sizes.items():
      modules = name.split("/")[:-1]
      counts["/".join(modules[:depth]) or name] += size
    if len(counts) <= ROWS:
      return dict(counts)
  largest = [name for name, _ in counts.most_common(ROWS - 1)]
  found = {name: count for name, count in counts.items() if name in largest}
  rest = counts.total() - sum(found.values())
  return found | {f"{len(counts) - len(found)} other modules": rest}


def _size(leaf: Any) -> int:
  return int(np.prod(leaf.shape))
