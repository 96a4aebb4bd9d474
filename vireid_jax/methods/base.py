"""The contract between a method (one paper) and the rest of the package."""

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
  """Result of a forward pass in training.

  Attributes:
    terms: Weighted terms of the loss by name, scalars; the loss is their sum.
    metrics: Further scalars to log; they are not differentiated.
    collections: New values of all collections except 'params'.
  """

  terms: dict[str, Array]
  metrics: dict[str, Array]
  collections: Variables

  @property
  def loss(self) -> Array:
    """The scalar to minimise."""
    return sum(self.terms.values(), jnp.float32(0))


class Method(Protocol):
  """Interface of a method for the trainer, the evaluator and the tools.

  A method is a frozen dataclass in `vireid_jax/methods/<name>.py`, or in a package of that name.
  Its class is named like the module, ignoring case. Its fields are `num_classes`,
  `steps_per_epoch`, `numerics` and the options that a config may set; their types and declared
  ranges (`vireid_jax.common.options`) are checked before anything compiles. A field whose default
  is a dataclass is a section of options. A method holds settings and no state.

  Further members are optional. `no_decay` names parameters or modules without weight decay.
  `mix(variables, batch, *, rngs, step) -> batch` changes the uint8 images of a training batch,
  `visible` and `infrared` [b, h, w, 3], before they are augmented individually; it keeps labels and
  shapes. `needs_masks`, a bool, requests the data set's pedestrian masks: the batch of `mix` then
  has `visible_mask` and `infrared_mask`, uint8 [b, h, w, 1]. `needs_second_view`, a bool, requests
  two independently augmented views of each visible image: the batch of `init` and `loss` then has
  the second one, augmented by `config.augment.visible_2`, as `visible_2`. `any_modality`, a bool,
  accepts samplers that draw images regardless of modality: the batch of `loss` may then have
  `modality`; see `Batch`.

  `token_grid(image_size) -> (rows, columns)` or None gives the number of patches down and across of
  a network with position embeddings: those of pretrained weights are resized to it.

  `trivial_values`, {term: value}, has the weighted value of a term when all features are equal: ln
  2 for a soft margin, the margin for a hinge. The trainer notifies the user of a term that stays at
  this value.

  Three optional members visualise where a network looks; images and modality are those of `embed`.
  `attention(variables, images, modality) -> {name: [n, h, w]}` returns the method's own attention
  maps, at any resolution. `forward_features(variables, images, modality) -> [n, h, w, c]` and
  `forward_head(variables, features, modality) -> [n, d]` split `embed` at the last map, from which
  energies and Grad-CAM are computed. Several maps of equal size are concatenated on the last axis.
  """

  num_classes: int
  steps_per_epoch: int
  numerics: Numerics

  def init(self, rng: Array, batch: Batch) -> Variables:
    """Draws all variables. It is traced under jit: only the batch's shapes matter."""

  def loss(self, variables: Variables, batch: Batch, *, rngs: Array, step: Array) -> LossOutput:
    """Computes the loss of the global batch in training.

    Args:
      variables: All collections.
      batch: Training batch; see `Batch`.
      rngs: Key of this step, for the method's randomness.
      step: int32 scalar, number of completed steps.
    """

  def embed(self, variables: Variables, images: Array, modality: str) -> Array:
    """Returns the retrieval features, before any L2 normalisation.

    Args:
      variables: All collections.
      images: float [n, h, w, 3], normalised.
      modality: 'visible' or 'infrared'; static.

    Returns:
      float32 [n, d].
    """
