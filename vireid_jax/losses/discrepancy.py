"""Maximum mean discrepancy under several Gaussian kernels, and DNS's alignment of domains by it."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import squared_distance, unit

KERNELS = 5  # of widths b, 2b, 4b, 8b, 16b
SMALLEST_WIDTH = 1e-12
MODALITY_WEIGHT = 0.45
SPACE_WEIGHT = 0.05


def maximum_mean_discrepancy(x: Array, y: Array) -> Array:
  """mean k(x, x) + mean k(y, y) - 2 mean k(x, y), diagonals included.

  k(x, y) = sum_{i = 0..4} exp(-||x - y||^2 / (2^i b)). With N rows in x and y together,
  4 b is the sum of all squared distances between them over N^2 - N, without gradient.

  Args:
    x: float [n, d]; computed in float32 at least.
    y: float [m, d]; n + m is at least 2.

  Returns:
    Scalar, at least 0 up to rounding.

  Reference:
    Long et al., "Learning Transferable Features with Deep Adaptation Networks", ICML 2015.
  """
  squares = squared_distance(x, x), squared_distance(y, y), squared_distance(x, y)
  within_x, within_y, across = (jnp.maximum(square, 0) for square in squares)
  rows = len(x) + len(y)
  total = jnp.sum(within_x) + jnp.sum(within_y) + 2 * jnp.sum(across)
  width = jax.lax.stop_gradient(total) / (rows * rows - rows) / 4
  # Equal rows everywhere have no width: their discrepancy is 0.
  width = jnp.maximum(width, SMALLEST_WIDTH)

  def mean_kernel(square: Array) -> Array:
    return jnp.mean(sum(jnp.exp(-square / (width * 2**i)) for i in range(KERNELS)))

  return mean_kernel(within_x) + mean_kernel(within_y) - 2 * mean_kernel(across)


def domain_alignment(
  features: tuple[Array, Array], shifted: tuple[Array, Array] | None = None
) -> Array:
  """Aligns the modalities, in the network's feature space and in the shifted one, and the spaces.

  L = 0.45 (mmd(z_v, z_r) + mmd(s_v, s_r)) + 0.05 (mmd(z_v, s_v) + mmd(z_r, s_r)), all rows
  L2-normalised; 0.45 mmd(z_v, z_r) without shifted features.

  Args:
    features: z_v and z_r, float [b, d], of the visible and the infrared images.
    shifted: s_v and s_r, float [b, d], of the same images in the shifted space.

  Returns:
    Scalar, at least 0 up to rounding.

  Reference:
    Jiang et al., "Domain Shifting: A Generalized Solution for Heterogeneous Cross-Modality Person
    Re-Identification", ECCV 2024; weights of the published code.
  """
  z_v, z_r = (unit(x) for x in features)
  loss = MODALITY_WEIGHT * maximum_mean_discrepancy(z_v, z_r)
  if shifted is None:
    return loss
  s_v, s_r = (unit(x) for x in shifted)
  spaces = maximum_mean_discrepancy(z_v, s_v) + maximum_mean_discrepancy(z_r, s_r)
  return loss + MODALITY_WEIGHT * maximum_mean_discrepancy(s_v, s_r) + SPACE_WEIGHT * spaces
