"""Measures how much of a network a weights file fills, and how much of the file is unused."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np

from vireid_jax.common import tree_paths
from vireid_jax.common.types import Variables
from vireid_jax.models.weights.names import NameTable
from vireid_jax.models.weights.tensors import shown

WORTH_SAYING = 0.05
MOST_SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Shares:
  """Differences between a network and a weights file.

  Attributes:
    random: Share of the network's parameters that keep random values, in [0, 1].
    modules: Outermost modules of these parameters, sorted.
    unused: Share of the file's numbers that the network does not use, in [0, 1].
    tensors: Names of the unused tensors.
  """

  random: float
  modules: tuple[str, ...]
  unused: float
  tensors: tuple[str, ...]

  @property
  def notable(self) -> bool:
    """Whether either share is above 5 %."""
    return max(self.random, self.unused) > WORTH_SAYING

  def __str__(self) -> str:
    """Returns both shares as a clause."""
    return (
      f"{self.random:.0%} of the network's parameters are not in the file and start from random "
      f"values ({_listed(self.modules)}); {self.unused:.0%} of the file's numbers are not used "
      f"({_listed(self.tensors)})"
    )


def shares(
  variables: Variables,
  weights: Mapping[str, np.ndarray],
  table: NameTable,
  ignored: Iterable[str],
) -> Shares:
  """Compares a network with a file that `import_weights` has accepted.

  Args:
    variables: Variables of the network, arrays or shapes.
    weights: Tensors of the file by PyTorch name.
    table: Name table of the file.
    ignored: Names of the ignored tensors, as returned by `import_weights`.
  """
  flat = tree_paths.named_leaves(variables["params"])
  sizes = {f"params/{path}": math.prod(leaf.shape) for path, leaf in flat.items()}
  random = [path for path in sizes if table.translate(path) is None]
  ignored = tuple(ignored)
  return Shares(
    random=_share((sizes[path] for path in random), sizes.values()),
    modules=tuple(sorted({path.split("/")[1] for path in random})),
    unused=_share((weights[name].size for name in ignored), (w.size for w in weights.values())),
    tensors=tuple(name for name in ignored if weights[name].ndim),
  )


def _share(part: Iterable[int], whole: Iterable[int]) -> float:
  return sum(part) / max(sum(whole), 1)


def _listed(names: tuple[str, ...]) -> str:
  more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
  return (", ".join(map(shown, names[:MOST_SHOWN])) or "none") + more
