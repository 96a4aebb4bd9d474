"""A method that trains on two views of each visible image: the linear one, fed with both."""

import dataclasses

from toys.linear import Linear

from vireid_jax.methods.base import LossOutput
from vireid_jax.models.numerics import Numerics


@dataclasses.dataclass(frozen=True)
class TwoViews:
  """Keeps the contract of `methods.base.Method`."""

  num_classes: int
  steps_per_epoch: int
  numerics: Numerics = Numerics()
  needs_second_view = True

  @property
  def _linear(self):
    return Linear(self.num_classes, self.steps_per_epoch)

  def init(self, rng, batch):
    """Draws the projections, for images of the second view's size."""
    return self._linear.init(rng, {"visible": batch["visible_2"]})

  def loss(self, variables, batch, *, rngs, step):
    """The linear method's loss of either view."""
    first = self._linear.loss(variables, batch, rngs=rngs, step=step)
    other = {**batch, "visible": batch["visible_2"]}
    second = self._linear.loss(variables, other, rngs=rngs, step=step)
    terms = {"first": first.terms["triplet"], "second": second.terms["triplet"]}
    return LossOutput(terms, {}, second.collections)

  def embed(self, variables, images, modality):
    """The linear method's feature."""
    return self._linear.embed(variables, images, modality)
