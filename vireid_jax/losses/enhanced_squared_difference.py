"""CAJ's enhanced squared difference: a soft margin on the squared gap of weighted distances."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.wrt import weighted_distances

LARGEST = 88.0  # exp of a larger number overflows float32


def enhanced_squared_difference(
  features: Array, labels: Array, *, alpha: float = 1.0, gamma: float = 1.0
) -> Array:
  """Squares the gap between weighted positive and negative distances inside the soft margin.

  L = mean_i softplus(s_i min(gamma (p_i - n_i)^2, 88)), where p and n are the distances of
  `weighted_distances`, with the published code's weights, and s_i = 1 where p_i > n_i, otherwise
  -1.

  With the published constants the loss has flat regions: an anchor with |p_i - n_i| above
  sqrt(88 / gamma) = 9.4 has no gradient. The legacy weights of negatives beyond about 14 vanish, so
  that n_i -> 0 and distant features give the constant 88.

  Args:
    features: float [n, d], not normalised.
    labels: int [n].
    alpha: Sharpness of the weights, above 0.
    gamma: Factor on the squared gap, above 0.

  Returns:
    Scalar, at least 0.

  Reference:
    Ye et al., "Channel Augmented Joint Learning for Visible-Infrared Recognition", ICCV 2021,
    section 3.3, and its published code.
  """
  furthest, closest = weighted_distances(features, labels, alpha=alpha, legacy=True)
  gap = furthest - closest
  sign = jnp.where(gap > 0, 1.0, -1.0)
  return jnp.mean(jax.nn.softplus(sign * jnp.minimum(gamma * gap**2, LARGEST)))
