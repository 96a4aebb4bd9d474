"""The contract between a method (one paper, one file or folder) and everything else."""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.types import Batch, Variables
from vireid_jax.models.numerics import Numerics


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossOutput:
  """What one forward pass of training gives.

  Attributes:
    terms: scalar per term of the loss, its weight already applied; the loss is their sum.
    metrics: further scalars to log; no gradient is taken of them.
    collections: the new value of every collection but 'params'.
  """

  terms: dict[str, Array]
  metrics: dict[str, Array]
  collections: Variables

  @property
  def loss(self) -> Array:
    """The scalar to minimise."""
    return sum(self.terms.values(), jnp.float32(0))


class Method(Protocol):
  """What the trainer, the evaluator and the tools ask of a method.

  A method is a frozen dataclass in `vireid_jax/methods/<name>.py`, or in a package of that name,
  whose class name equals the module's but for case. Its fields are `num_classes`,
  `steps_per_epoch`, `numerics` and the options that its config may set, whose types, and ranges
  where they are declared (`vireid_jax.common.options`), are checked before anything compiles. A
  field whose default is a dataclass is a section of options. It holds settings and no state.

  More members are optional. `no_decay` names parameters, or modules, without weight decay.
  `mix(variables, batch, *, rngs, step) -> batch` changes the uint8
  images of a training batch, `visible` and `infrared` [b, h, w, 3], before they are augmented one
  by one; labels and shapes stay. `needs_masks`, a bool, asks for the pedestrian masks of the data
  set: `mix` then finds `visible_mask` and `infrared_mask`, uint8 [b, h, w, 1].
  `needs_second_view`, a bool, asks for two independently augmented views of each visible image:
  `init` and `loss` then find the second one as `visible_2`, made by `config.augment.visible_2`.

  `trivial_values`, {term: value}, says what a term of the loss is, its weight applied, when all
  features are equal: ln 2 for a soft margin, the margin for a hinge. The trainer tells the user of
  a term that stays there.

  Three optional members let people see where a network looks; images and modality are as for
  `embed`. `attention(variables, images, modality) -> {name: [n, h, w]}` gives maps of the method's
  own, at any resolution, larger where it looks. `forward_features(variables, images, modality) ->
  [n, h, w, c]` and `forward_head(variables, features, modality) -> [n, d]` are `embed` in two
  steps, cut at the last map that still has positions: energies and Grad-CAM come from it. Several
  maps of equal size are concatenated on the last axis.
  """

  num_classes: int
  steps_per_epoch: int
  numerics: Numerics

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws all variables; traced under jit, so only the batch's shapes matter."""

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """One training pass over the global batch.

    Args:
      variables: all collections.
      batch: see `Batch`.
      rngs: a key of this step alone, for whatever randomness the method needs.
      step: int32 scalar, completed steps before this one.
    """

  def embed(self, variables: Variables, images: Array, modality: str) -> Array:
    """The retrieval feature, before any L2 normalisation.

    Args:
      variables: all collections.
      images: float [n, h, w, 3], normalised.
      modality: 'visible' or 'infrared'; static.

    Returns:
      float32 [n, d].
    """
