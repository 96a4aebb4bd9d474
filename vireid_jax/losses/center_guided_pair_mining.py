"""Centre-guided pair mining loss of DEEN."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import paired_distance, pairwise_distance


def center_guided_pair_mining(
  original: tuple[Array, Array],
  generated: tuple[Array, Array],
  labels: Array,
  *,
  margin: float = 0.2,
) -> Array:
  """Pulls a generated centre to the other modality and away from its own and other identities.

  With the centres v, i of the original visible and infrared features of each identity p, and gv, gi
  of the generated ones, h(t) = max(0, margin + t) and n(x)_p = min_{q != p} d(x_p, x_q):

    L(a, g, o) = mean_p { h(d(a_p, g_p) - sg d(o_p, g_p))
                          + 1/2 [h(d(a_p, g_p) - n(g)_p) + h(d(a_p, g_p) - n(o)_p)] }
    L = 1/2 [L(i, gv, v) + L(v, gi, i)]

  Every identity counts the same. No gradient flows through sg d(o_p, g_p).

  Args:
    original: Visible and infrared features, float [n, d] each, not normalised. On a mesh of several
      devices, replicate the rows first (`runtime.mesh.on_all_devices`).
    generated: Features that a branch makes of the same images, likewise.
    labels: int [n], of the rows of all four.
    margin: Margin, in the unit of the feature distance.

  Returns:
    Scalar, at least 0; 2 margin when all features are equal.

  Reference:
    Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
    Visible-Infrared Person Re-identification", CVPR 2023, section 3.4.
  """
  same = labels[:, None] == labels[None, :]
  count = same.sum(axis=1)
  v, i, gv, gi = (_centers(x, same, count) for x in (*original, *generated))
  # One row per image, so that no shape depends on the number of identities.
  weight = (1 / count) / jnp.sum(1 / count)
  rows = _hinges(i, gv, v, same, margin) + _hinges(v, gi, i, same, margin)
  return jnp.sum(weight * rows) / 2


def _centers(x: Array, same: Array, count: Array) -> Array:
  """The mean feature of each row's identity: float [n, d]."""
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  return jnp.matmul(same.astype(x.dtype), x, precision="highest") / count[:, None]


def _hinges(anchor: Array, made: Array, own: Array, same: Array, margin: float) -> Array:
  """The terms of L(a, g, o) for each row, [n]."""
  pulled = margin + paired_distance(anchor, made)
  pushed = jax.lax.stop_gradient(paired_distance(own, made))
  others = [jnp.maximum(0.0, pulled - _nearest_other(x, same)) for x in (made, own)]
  return jnp.maximum(0.0, pulled - pushed) + sum(others) / 2


def _nearest_other(centers: Array, same: Array) -> Array:
  """Distance of each row's centre to the nearest one of another identity; inf if there is none."""
  return jnp.min(jnp.where(same, jnp.inf, pairwise_distance(centers)), axis=1)
