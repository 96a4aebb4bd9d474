"""Orthogonality loss of DEEN."""

import jax.numpy as jnp
from jax import Array

# The published code divides by the rows of all three embeddings, of which two are compared.
EMBEDDINGS = 3


def orthogonality(first: Array, second: Array) -> Array:
  """Keeps the two generated embeddings of an image apart.

  L = 1 / (3n) sum_i <f1_i, f2_i>. The features are not normalised and there is no absolute value:
  the loss is negative where embeddings point away from each other.

  Args:
    first: float [n, d], the first generated embedding of each image.
    second: float [n, d], the second one of the same images.

  Returns:
    Scalar, of either sign.

  Reference:
    Zhang and Wang, CVPR 2023 (DEEN), section 3.3.
  """
  full = jnp.promote_types(jnp.promote_types(first.dtype, second.dtype), jnp.float32)
  return jnp.sum(first.astype(full) * second.astype(full)) / (EMBEDDINGS * first.shape[0])
