"""Euclidean distances whose gradient is finite everywhere."""

import jax.numpy as jnp
from jax import Array

SMALLEST_SQUARE = 1e-12


def pairwise_distance(x: Array, y: Array | None = None) -> Array:
  """Euclidean distance between every row of x and every row of y.

  d = sqrt(max(||x - y||^2, 1e-12)). The clamp is inside the root: outside it, the root's infinite
  slope at zero meets a zero and the gradient of the diagonal is NaN.

  Args:
    x: float [n, d]; computed in float32 at least.
    y: float [m, d]; x itself when absent.

  Returns:
    float [n, m], at least 1e-6.
  """
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  y = x if y is None else y.astype(x.dtype)
  # Highest precision: TPUs and TF32 GPUs otherwise round the products, and close pairs, the
  # difference of two large numbers, lose all their digits.
  product = jnp.matmul(x, y.T, precision="highest")
  square = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)[None, :] - 2 * product
  return jnp.sqrt(jnp.maximum(square, SMALLEST_SQUARE))
