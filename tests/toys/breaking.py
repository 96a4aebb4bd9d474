"""The linear toy with a second loss term, which is not a number at a chosen step."""

import dataclasses

import jax.numpy as jnp
from toys.linear import Linear

from vireid_jax.methods.base import LossOutput
from vireid_jax.models.numerics import Numerics


@dataclasses.dataclass(frozen=True)
class Breaking:
  """Keeps the contract of `methods.base.Method`.

  Attributes:
    nan_at: the step (from 1) whose term 'fragile' is NaN; 0 for none.
    where: 'loss' to break the term, 'statistics' to break the running mean alone.
  """

  num_classes: int
  steps_per_epoch: int
  feature: str = "after_neck"
  width: int = 8
  nan_at: int = 0
  where: str = "loss"
  numerics: Numerics = Numerics()

  @property
  def _linear(self):
    return Linear(self.num_classes, self.steps_per_epoch, self.feature, self.width)

  def init(self, rng, batch):
    """Draws the projections."""
    return self._linear.init(rng, batch)

  def loss(self, variables, batch, *, rngs, step):
    """Batch-hard triplet and a small term on the projection."""
    output = self._linear.loss(variables, batch, rngs=rngs, step=step)
    broken = jnp.where(step + 1 == self.nan_at, jnp.nan, 0.0)
    factor = 1e-3 + (broken if self.where == "loss" else 0.0)
    fragile = factor * jnp.square(variables["params"]["visible"]).sum()
    mean = output.collections["batch_stats"]["mean"]
    if self.where == "statistics":
      # The centre is subtracted from features at retrieval only: no loss ever sees it.
      mean = mean + broken
    return LossOutput({**output.terms, "fragile": fragile}, {}, {"batch_stats": {"mean": mean}})

  def embed(self, variables, images, modality):
    """The linear toy's."""
    return self._linear.embed(variables, images, modality)
