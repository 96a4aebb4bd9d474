"""Circle loss over all pairs of a batch."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import unit

# Stands for minus infinity in the sums of exponentials, whose gradient stays finite with it.
EXCLUDED = -1e30


def circle(features: Array, labels: Array, *, margin: float, scale: float = 64.0) -> Array:
  """Mean over anchors i of softplus(lse_{p} l_ip + lse_{n} l_in), with s the cosine similarities.

  l_p = -scale max(0, 1 + m - sg s) (s - (1 - m)) and l_n = scale max(0, sg s + m) (s - m), where p
  are the other rows of the anchor's identity and n those of other identities, whatever their
  modality. sg stops the gradient. An anchor without any p, or without any n, counts as 0.

  Args:
    features: float [n, d]; L2-normalised here, in float32 at least.
    labels: int [n].
    margin: m, in [0, 1].
    scale: gamma.

  Returns:
    Scalar, at least 0.

  Reference:
    Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", CVPR 2020,
    eqs. 5 and 9.
  """
  features = unit(features)
  s = jnp.matmul(features, features.T, precision="highest")
  constant = jax.lax.stop_gradient(s)
  l_p = -scale * jnp.maximum(0, 1 + margin - constant) * (s - (1 - margin))
  l_n = scale * jnp.maximum(0, constant + margin) * (s - margin)
  same = labels[:, None] == labels[None]
  positive = same & ~jnp.eye(len(labels), dtype=bool)
  return jnp.mean(jax.nn.softplus(_log_sum_exp(l_p, positive) + _log_sum_exp(l_n, ~same)))


def _log_sum_exp(x: Array, mask: Array) -> Array:
  return jax.nn.logsumexp(jnp.where(mask, x, EXCLUDED), axis=1)
