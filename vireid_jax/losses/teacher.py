"""Losses that pull the logits of one view towards those of another, its teacher."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

SMALLEST_TARGET = 1e-7


def soft_cross_entropy(logits: Array, teacher_logits: Array) -> Array:
  """Mean over rows of -sum_c softmax(teacher)_c log softmax(logits)_c; the teacher is constant.

  Args:
    logits: float [n, c]; computed in float32 at least.
    teacher_logits: float [n, c]; the gradient stops here.

  Returns:
    Scalar, in nats, at least 0.
  """
  logits, teacher_logits = _full(logits), _full(teacher_logits)
  target = jax.nn.softmax(jax.lax.stop_gradient(teacher_logits), axis=-1)
  return jnp.mean(optax.losses.softmax_cross_entropy(logits, target))


def softened_divergence(logits: Array, teacher_logits: Array, *, temperature: float = 3.0) -> Array:
  """T^2 times the mean over rows of KL(t || softmax(logits / T)); the teacher is constant.

  t = softmax(teacher / T) + 1e-7, as in CAJ's published code, so it sums to slightly more than 1.

  Args:
    logits: float [n, c]; computed in float32 at least.
    teacher_logits: float [n, c]; the gradient stops here.
    temperature: T, above 0.

  Returns:
    Scalar, in nats.
  """
  logits, teacher_logits = _full(logits), _full(teacher_logits)
  teacher_logits = jax.lax.stop_gradient(teacher_logits)
  target = jax.nn.softmax(teacher_logits / temperature, axis=-1) + SMALLEST_TARGET
  log_probability = jax.nn.log_softmax(logits / temperature, axis=-1)
  return temperature**2 * jnp.mean(optax.losses.kl_divergence(log_probability, target))


def _full(logits: Array) -> Array:
  return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
