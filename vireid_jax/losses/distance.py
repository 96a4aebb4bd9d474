"""Euclidean distances and unit vectors whose gradients are finite everywhere."""

import jax.numpy as jnp
from jax import Array

SMALLEST_SQUARE = 1e-12
SMALLEST_SQUARE_NORM = 1e-24


def unit(x: Array) -> Array:
  """L2-normalises the last axis: float [..., d], in float32 at least; zeros stay zeros."""
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  # The square is clamped, not the root, so that an all-zero vector has a finite gradient.
  square = jnp.sum(x * x, axis=-1, keepdims=True)
  return x / jnp.sqrt(jnp.maximum(square, SMALLEST_SQUARE_NORM))


def paired_distance(x: Array, y: Array) -> Array:
  """Euclidean distance between rows: [..., d] twice to [...], at least 1e-6; in float32 at least.

  Subtracts before it squares, so that close points keep their digits.
  """
  full = jnp.promote_types(jnp.promote_types(x.dtype, y.dtype), jnp.float32)
  square = jnp.sum((x.astype(full) - y.astype(full)) ** 2, axis=-1)
  return jnp.sqrt(jnp.maximum(square, SMALLEST_SQUARE))


def pairwise_distance(x: Array, y: Array | None = None) -> Array:
  """Euclidean distance between every row of x and every row of y.

  d = sqrt(max(||x - y||^2, 1e-12)). The clamp is inside the root: outside it, the root's infinite
  slope at zero meets a zero and the gradient of the diagonal is NaN.

  Args:
    x: float [n, d]; computed in float32 at least.
    y: float [m, d]; x if None.

  Returns:
    float [n, m], at least 1e-6.
  """
  square = squared_distance(x, x if y is None else y)
  return jnp.sqrt(jnp.maximum(square, SMALLEST_SQUARE))


def squared_distance(x: Array, y: Array) -> Array:
  """Returns ||x - y||^2 of every row of x [n, d] and y [m, d]: [n, m], in float32 at least.

  Rounding may make the value of a close pair slightly negative.
  """
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  y = y.astype(x.dtype)
  # Highest precision: TPUs and TF32 GPUs otherwise round the products, and the distance of a close
  # pair, a difference of two large numbers, loses all its digits.
  product = jnp.matmul(x, y.T, precision="highest")
  return jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)[None, :] - 2 * product
