"""From the last map to the retrieval feature and the identity logits."""

from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.errors import choose
from vireid_jax.common.options import OneOf
from vireid_jax.models.norm import BatchNorm
from vireid_jax.models.numerics import Numerics

POOLINGS = ("gem", "average")
PLACES = ("after_neck", "before_neck")
# Types of method options.
Pooling = Annotated[str, OneOf(POOLINGS)]
Place = Annotated[str, OneOf(PLACES)]
GEM_POWER = 3.0
GEM_EPSILON = 1e-12


def pool(x: Array, kind: str) -> Array:
  """Pools a map over its positions, in float32 at least.

  Args:
    x: float [n, h, w, c]; non-negative for 'gem'.
    kind: 'gem', (mean x^3 + 1e-12)^(1/3), or 'average'.

  Returns:
    float [n, c].

  Raises:
    UserError: Unknown kind.

  Reference:
    Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018, eq. 3.
  """
  choose(kind, POOLINGS, "pooling")
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  if kind == "average":
    return _mean_over_positions(x)
  return (jnp.mean(x**GEM_POWER, axis=(1, 2)) + GEM_EPSILON) ** (1 / GEM_POWER)


def _mean_over_positions(x: Array) -> Array:
  """Means of [n, h, w, c] over h and w, [n, c].

  A product with equal weights: XLA's CPU backend would fuse a sum over positions into what follows
  and then read memory channel by channel, ten times slower.
  """
  positions = x.shape[1] * x.shape[2]
  count = x.shape[0]  # not `len`: an exported program's batch size is symbolic
  weights = jnp.full((count, 1, positions), 1 / positions, x.dtype)
  rows = x.reshape(count, positions, x.shape[-1])
  return jnp.matmul(weights, rows, precision="highest")[:, 0]


def _normal_around_one(key, shape, dtype=jnp.float32) -> Array:
  return 1.0 + nn.initializers.normal(0.01)(key, shape, dtype)


def scale_by_part(*scales: float) -> Callable:
  """Returns an initialiser of a neck's scale: equal parts of the channels with these means."""

  def draw(key, shape, dtype=jnp.float32) -> Array:
    factors = jnp.repeat(jnp.asarray(scales, dtype), shape[0] // len(scales))
    return factors * _normal_around_one(key, shape, dtype)

  return draw


class Head(nn.Module):
  """Batch-norm neck and a linear classifier without bias.

  Metric losses read the feature before the neck; cross-entropy and retrieval read the one after it.
  Unless trained, the neck's bias is fixed at zero, so that the decision boundaries pass through the
  origin.

  Attributes:
    num_classes: Number of training identities.
    numerics: Batch-norm statistics; the head computes in float32 at least.
    scale_init: Initialiser of the neck's [c] scale.
    kernel_init: Initialiser of the classifier's [c, classes] kernel.
    train_bias: Train the neck's bias.

  Reference:
    Luo et al., "A Strong Baseline and Batch Normalization Neck", 2019.
  """

  num_classes: int
  numerics: Numerics = Numerics()
  scale_init: Callable = _normal_around_one
  kernel_init: Callable = nn.initializers.normal(0.001)
  train_bias: bool = False

  def setup(self):
    full = self.numerics.full_precision
    self.neck = BatchNorm(full, scale_init=self.scale_init, train_bias=self.train_bias)
    self.classifier = nn.Dense(
      self.num_classes,
      use_bias=False,
      kernel_init=self.kernel_init,
      dtype=full.compute_dtype,
      param_dtype=full.param_dtype,
    )

  def __call__(self, pooled: Array, *, train: bool) -> tuple[Array, Array]:
    """Maps pooled features [n, c] to (feature after the neck [n, c], logits [n, classes])."""
    feature = self.neck(pooled, train=train)
    return feature, self.classifier(feature)

  def embed(self, pooled: Array, place: str) -> Array:
    """Maps pooled features [n, c] to the retrieval feature [n, c], with running statistics.

    Args:
      pooled: float [n, c].
      place: 'after_neck', or 'before_neck' for the pooled feature itself.
    """
    return self.neck(pooled, train=False) if place == "after_neck" else pooled

  def frozen_logits(self, pooled: Array) -> tuple[Array, Array]:
    """Like `__call__`, with the head's variables held constant.

    Gradients flow to the features only; running statistics are used, not updated.
    """
    head, variables = self.unbind()
    return head.apply(jax.lax.stop_gradient(variables), pooled, train=False)
