"""Distance of TMPA's transferred features from the true ones."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import paired_distance, unit
from vireid_jax.losses.shared_specific import identity_means


def transfer_distance(transferred: Array, specific: Array, labels: Array) -> Array:
  """Mean distance of transferred features to their identity's mean true feature, as unit vectors.

  Args:
    transferred: float [b, d], features of one modality computed from images of the other.
    specific: float [b, d], features of true images of that modality; they receive no gradient.
    labels: int [b], labels of both.

  Returns:
    Scalar, in [0, 2].

  Reference:
    TMPA (arXiv 2312.07021) transfers features; this supervision is our choice.
  """
  target = jax.lax.stop_gradient(identity_means(specific, labels))
  return jnp.mean(paired_distance(unit(transferred), unit(target)))
