"""What a method costs: parameters in training and at test, and operations per image."""

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
  """Sizes of one method.

  Attributes:
    trained: parameters in training.
    used: parameters that the feature of one image of one modality depends on.
    operations: floating-point operations of that feature, a multiplication and an addition being
      two, as the compiler's cost analysis counts them before it optimises.
  """

  trained: int
  used: int
  operations: float


def measure(method: Method, size: tuple[int, int], modality: str = MODALITIES[0]) -> Cost:
  """Measures a method without computing anything.

  Args:
    method: its options `dtype` and `conv_impl` decide how operations are written, and so counted;
      'float32' and 'xla' give one plain convolution each.
    size: (height, width) of an image.
    modality: of the image.

  Returns:
    The cost.
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
  """Counts the numbers in a tree of arrays or shapes."""
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def _count_used(embed, variables: Variables, image) -> int:
  """Counts the parameters that some equation of the traced function reads."""
  traced = jax.make_jaxpr(embed)(variables, image).jaxpr
  read = {id(atom) for equation in traced.eqns for atom in equation.invars}
  given = zip(tree_paths.named_leaves(variables), traced.invars[:-1], strict=True)
  return sum(
    int(np.prod(variable.aval.shape))
    for name, variable in given
    if name.startswith("params/") and id(variable) in read
  )
