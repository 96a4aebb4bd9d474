"""How far features made by TMPA's transfer are from the true ones they stand for."""

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import paired_distance, unit
from vireid_jax.losses.shared_specific import identity_means


def transfer_distance(made: Array, own: Array, label: Array, *, fixed: bool) -> Array:
  """Mean absolute difference of made features to the identity's mean of true ones.

  Args:
    made: float [b, d], of a modality, made of images of the other one.
    own: float [b, d], of images of that modality.
    label: int [b], of both.
    fixed: no gradient reaches `own`.

  Returns:
    Scalar, at least 0.
  """
  return jnp.mean(jnp.abs(made - _target(own, label, fixed)))


def transfer_angle(made: Array, own: Array, label: Array, *, fixed: bool) -> Array:
  """Mean distance, in [0, 2], of the same as unit vectors; see `transfer_distance`."""
  return jnp.mean(paired_distance(unit(made), unit(_target(own, label, fixed))))


def _target(own: Array, label: Array, fixed: bool) -> Array:
  means = identity_means(own, label)
  return jax.lax.stop_gradient(means) if fixed else means
