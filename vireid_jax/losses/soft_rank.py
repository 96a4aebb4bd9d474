"""Differentiable ranks by projection onto the permutahedron."""

import jax
import jax.numpy as jnp
from jax import Array


def soft_rank(values: Array, *, strength: float, mask: Array | None = None) -> Array:
  """Ranks each row softly: the smallest value has a rank near 1, the largest one near G.

  r is the Euclidean projection of theta = values / strength onto the permutahedron of 1, ..., G.
  With s = theta in descending order and w = (G, ..., 1), r = s - v in that order, where v is the
  non-increasing isotonic regression of s - w:

    v_i = min_{j <= i} max_{k >= i} mean((s - w)[j..k])

  Written without loops, in O(n^2) numbers per row. Its derivative is that of the means of the
  blocks that the regression pools.

  Args:
    values: float [..., n]; computed in float32 at least.
    strength: Strength of the regularisation, above 0; ranks are exact near 0.
    mask: bool [..., n], values that take part; None for all. G is their number.

  Returns:
    float [..., n], in [1, G]; without meaning where the mask is False.

  Reference:
    Blondel et al., "Fast Differentiable Sorting and Ranking", ICML 2020, sections 3 and 4.
  """
  values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
  mask = jnp.ones(values.shape, bool) if mask is None else jnp.broadcast_to(mask, values.shape)
  # Masked values come last.
  order = jnp.argsort(jnp.where(mask, -values, jnp.inf), axis=-1)
  s = jnp.take_along_axis(values, order, axis=-1) / strength
  count = mask.sum(axis=-1, keepdims=True)
  position = jnp.arange(values.shape[-1])
  v = _decreasing_regression(s - (count - position), position < count)
  return jnp.take_along_axis(s - v, jnp.argsort(order, axis=-1), axis=-1)


def _decreasing_regression(x: Array, valid: Array) -> Array:
  """The non-increasing isotonic regression of the leading valid numbers of each row [..., n]."""
  position = jnp.arange(x.shape[-1])
  is_block = (position[:, None] <= position) & valid[..., None, :]  # [..., j, k]: from j to k
  length = jnp.maximum(position - position[:, None] + 1, 1)
  sums = jnp.cumsum(jnp.where(is_block, x[..., None, :], 0), axis=-1)
  means = jnp.where(is_block, sums / length, -jnp.inf)
  largest = jax.lax.cummax(means, axis=means.ndim - 1, reverse=True)  # over k >= i
  smallest = jnp.min(jnp.where(is_block, largest, jnp.inf), axis=-2)  # over j <= i
  return jnp.where(valid, smallest, 0)
