"""Batch normalisation with PyTorch's options."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax

from vireid_jax.models.numerics import Numerics

EPSILON = 1e-5


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last.

  Under jit, the statistics of a sharded batch are those of the global batch.

  Attributes:
    numerics: Dtype, momentum, and whether the running variance is unbiased.
    scale_init: Initialiser of the [c] scale.
    train_bias: Train the bias. If false it is kept, so that imported weights fit, but in the
      collection 'constants', which the optimiser does not see (the "BN neck").
  """

  numerics: Numerics = Numerics()
  scale_init: Callable = nn.initializers.ones
  train_bias: bool = True

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Normalises [..., c] by the batch's statistics (train) or the running ones."""
    shape, dtype = (x.shape[-1],), self.numerics.param_dtype
    running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, dtype)
    running_variance = self.variable("batch_stats", "var", jnp.ones, shape, dtype)
    scale = self.param("scale", self.scale_init, shape, dtype)
    bias = self._bias(shape, dtype)
    if train:
      mean, variance = _moments(x.astype(dtype))
      if not self.is_initializing():
        count = x.size // x.shape[-1]
        running_mean.value = self._accumulate(running_mean.value, mean)
        running_variance.value = self._accumulate(
          running_variance.value, variance * self._correction(count)
        )
    else:
      mean, variance = running_mean.value, running_variance.value
    factor = scale * lax.rsqrt(variance + EPSILON)
    return (x * factor + (bias - mean * factor)).astype(self.numerics.compute_dtype)

  def _bias(self, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    if self.train_bias:
      return self.param("bias", nn.initializers.zeros, shape, dtype)
    return self.variable("constants", "bias", jnp.zeros, shape, dtype).value

  def _accumulate(self, old: Array, new: Array) -> Array:
    kept = self.numerics.momentum
    return kept * old + (1 - kept) * lax.stop_gradient(new)

  def _correction(self, count: int) -> float:
    return count / max(count - 1, 1) if self.numerics.unbiased_variance else 1.0


def _moments(x: Array) -> tuple[Array, Array]:
  axes = tuple(range(x.ndim - 1))
  mean = jnp.mean(x, axes)
  # One pass over x; rounding may make the variance of a constant channel slightly negative.
  return mean, jnp.maximum(jnp.mean(x * x, axes) - mean * mean, 0.0)
