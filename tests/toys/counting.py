"""The linear toy with a feature that asks how many images there are."""

import dataclasses

from toys.linear import Linear

from vireid_jax.models.numerics import Numerics


@dataclasses.dataclass(frozen=True)
class Counting:
  """Keeps the contract of `methods.base.Method`."""

  num_classes: int
  steps_per_epoch: int
  feature: str = "after_neck"
  width: int = 8
  numerics: Numerics = Numerics()

  @property
  def _linear(self):
    return Linear(self.num_classes, self.steps_per_epoch, self.feature, self.width)

  def init(self, rng, batch):
    """Draws the projections."""
    return self._linear.init(rng, batch)

  def loss(self, variables, batch, *, rngs, step):
    """The linear toy's."""
    return self._linear.loss(variables, batch, rngs=rngs, step=step)

  def embed(self, variables, images, modality):
    """The linear toy's, where `len` makes a number of a batch size."""
    return self._linear.embed(variables, images.reshape(len(images), *images.shape[1:]), modality)
