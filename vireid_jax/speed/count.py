"""Cost of a method: parameters in training and at test time, and operations per image."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vireid_jax.common import tree_paths
from vireid_jax.common.records import MODALITIES
from vireid_jax.common.types import Variables
from vireid_jax.methods.base import Method
from vireid_jax.training import first_state


@dataclasses.dataclass(frozen=True)
class Cost:
  """Cost of a method.

  Attributes:
    trained: Number of parameters in training.
    used: Number of parameters on which the feature of an image of one modality depends.
    operations: Floating-point operations for that feature, counted by the compiler's cost analysis
      before optimisation; a multiplication and an addition are two.
  """

  trained: int
  used: int
  operations: float


def measure(method: Method, size: tuple[int, int], modality: str = MODALITIES[0]) -> Cost:
  """Measures the cost of a method without running it.

  Args:
    method: Method. Its `dtype` and `conv_impl` decide how operations are written, and thus counted;
      with 'float32' and 'xla' each convolution is a single one.
    size: (height, width) of an image.
    modality: Modality of the image.
  """
  variables = abstract_variables(method, size)
  image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)

  def embed(variables: Variables, image: jax.Array) -> jax.Array:
    return method.embed(variables, image, modality)

  lowered = jax.jit(embed).lower(variables, image)
  return Cost(
    trained=count(variables["params"]),
    used=_count_used(embed, variables, image),
    operations=float(lowered.cost_analysis()["flops"]),
  )


def abstract_variables(method: Method, size: tuple[int, int]) -> Variables:
  """Returns the shapes of a method's variables."""
  return first_state.abstract_variables(size, 0, method)


def count(tree) -> int:
  """Returns the total size of a tree of arrays or shapes."""
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def _count_used(embed, variables: Variables, image) -> int:
  """Counts the parameters that the traced function uses."""
  traced = jax.make_jaxpr(embed)(variables, image).jaxpr
  read = {id(atom) for equation in traced.eqns for atom in equation.invars}
  given = zip(tree_paths.named_leaves(variables), traced.invars[:-1], strict=True)
  return sum(
    int(np.prod(variable.aval.shape))
    for name, variable in given
    if name.startswith("params/") and id(variable) in read
  )
