"""Identity classification loss."""

import jax
import jax.numpy as jnp
from jax import Array


def cross_entropy(logits: Array, labels: Array, *, label_smoothing: float = 0.0) -> Array:
  """Mean softmax cross-entropy against integer labels.

  Args:
    logits: float [n, c]; computed in float32 at least.
    labels: int [n], in [0, c).
    label_smoothing: Share of the target spread evenly over all classes, in [0, 1).

  Returns:
    Scalar, in nats.
  """
  logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
  # Not Optax's function, which rounds differently: recorded losses would change in the last digit.
  log_probability = jax.nn.log_softmax(logits, axis=-1)
  target = jnp.take_along_axis(log_probability, labels[:, None], axis=-1)[:, 0]
  smooth = jnp.mean(log_probability, axis=-1)
  return -jnp.mean((1 - label_smoothing) * target + label_smoothing * smooth)
