"""The state of training."""

from typing import Any

import flax.struct
import jax.numpy as jnp
import optax
from jax import Array

from vireid_jax.common.types import Variables


@flax.struct.dataclass
class TrainState:
  """Everything that a training step changes; saved and restored as a whole.

  Attributes:
    step: int32 scalar, number of completed steps.
    params: Trained parameters.
    collections: All other Linen collections (statistics, constants, prototypes, ...), opaque to the
      trainer.
    opt_state: State of the optimiser.
  """

  step: Array
  params: Any
  collections: Variables
  opt_state: Any

  @property
  def variables(self) -> Variables:
    """All collections, as passed to a method's functions."""
    return {"params": self.params, **self.collections}


def create(variables: Variables, optimizer: optax.GradientTransformation) -> TrainState:
  """Returns the state at step 0 from new variables."""
  params = variables["params"]
  collections = {name: value for name, value in variables.items() if name != "params"}
  return TrainState(jnp.int32(0), params, collections, optimizer.init(params))
