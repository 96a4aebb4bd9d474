"""Common space shifting of DNS: features moved into a space of their own during training."""

import flax.linen as nn
import jax
from jax import Array

from vireid_jax.models.non_local import torch_uniform
from vireid_jax.models.norm import EPSILON
from vireid_jax.models.numerics import Numerics

EXPANSION = 4


class CSS(nn.Module):
  """Drop(W2 Drop(GELU(W1 LN(a + softmax(a))))) of a map's mean a, with a hidden width of 4 c.

  Attributes:
    dropout: rate of both dropouts, in [0, 1).
    numerics: everything here computes in float32 at least.

  Reference:
    Jiang et al., "Domain Shifting: A Generalized Solution for Heterogeneous Cross-Modality Person
    Re-Identification", ECCV 2024, and its published code.
  """

  dropout: float = 0.01
  numerics: Numerics = Numerics()

  @nn.compact
  def __call__(self, a: Array, *, train: bool) -> Array:
    """Maps features [n, c] to [n, c]; training needs the stream 'dropout' of random numbers."""
    dtype = self.numerics.param_dtype
    a = a.astype(dtype)
    x = a + jax.nn.softmax(a, axis=-1)
    norm = nn.LayerNorm(
      epsilon=EPSILON, dtype=dtype, param_dtype=dtype, use_fast_variance=False, name="norm"
    )
    x = nn.gelu(self._dense(EXPANSION * a.shape[-1], "expand")(norm(x)), approximate=False)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    x = self._dense(a.shape[-1], "reduce")(x)
    return nn.Dropout(self.dropout, deterministic=not train)(x)

  def _dense(self, features: int, name: str) -> nn.Dense:
    dtype = self.numerics.param_dtype
    return nn.Dense(features, dtype=dtype, param_dtype=dtype, kernel_init=torch_uniform, name=name)
