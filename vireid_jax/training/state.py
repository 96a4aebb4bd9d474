"""Everything a training step changes."""

from typing import Any

import flax.struct
import jax.numpy as jnp
import optax
from jax import Array

from vireid_jax.common.types import Variables


@flax.struct.dataclass
class TrainState:
  """The state that is stepped, saved and restored as one.

  Attributes:
    step: int32 scalar, completed steps.
    params: trained parameters.
    collections: every other Linen collection (statistics, constants, prototypes, ...), opaque to
      the trainer.
    opt_state: of the optimiser.
  """

  step: Array
  params: Any
  collections: Variables
  opt_state: Any

  @property
  def variables(self) -> Variables:
    """All collections, as a method's functions take them."""
    return {"params": self.params, **self.collections}


def create(variables: Variables, optimizer: optax.GradientTransformation) -> TrainState:
  """Makes the state at step 0 from freshly drawn variables."""
  params = variables["params"]
  collections = {name: value for name, value in variables.items() if name != "params"}
  return TrainState(jnp.int32(0), params, collections, optimizer.init(params))
