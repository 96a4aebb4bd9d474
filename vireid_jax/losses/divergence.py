"""Kullback-Leibler divergence between two classifiers."""

import jax
import jax.numpy as jnp
import optax
from jax import Array


def divergence(logits: Array, other_logits: Array) -> Array:
  """Mean over rows of KL(softmax(logits) || softmax(other_logits)).

  The gradient flows through both arguments; stop it for a teacher.

  Args:
    logits: float [n, c]; computed in float32 at least.
    other_logits: float [n, c].

  Returns:
    Scalar, in nats, at least 0.
  """
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  log_first = jax.nn.log_softmax(logits.astype(dtype), axis=-1)
  log_second = jax.nn.log_softmax(other_logits.astype(dtype), axis=-1)
  return jnp.mean(optax.losses.kl_divergence_with_log_targets(log_second, log_first))
