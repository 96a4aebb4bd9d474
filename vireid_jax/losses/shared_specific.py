"""Modality-shared-specific (MSS) loss of TMPA."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from vireid_jax.losses.distance import paired_distance, unit


class SharedSpecific(NamedTuple):
  """The three terms of the loss, unweighted scalars."""

  shared: Array
  specific: Array
  decoupling: Array

  def total(self, *, specific_weight: float = 0.5, decoupling_weight: float = 0.5) -> Array:
    """Returns shared + specific_weight * specific + decoupling_weight * decoupling."""
    return self.shared + specific_weight * self.specific + decoupling_weight * self.decoupling


def identity_means(features: Array, labels: Array) -> Array:
  """Replaces each row by the mean of its identity's rows.

  Args:
    features: float [b, d]; computed in float32 at least.
    labels: int [b].

  Returns:
    float [b, d].
  """
  features = features.astype(jnp.promote_types(features.dtype, jnp.float32))
  same = (labels[:, None] == labels[None, :]).astype(features.dtype)
  same = same / same.sum(axis=1, keepdims=True)
  return jnp.matmul(same, features, precision="highest")


def shared_specific(
  shared: tuple[Array, Array],
  specific: tuple[Array, Array],
  labels: Array,
  *,
  margin: float = 1.0,
) -> SharedSpecific:
  """Pulls the modalities' shared features together and pushes everything else apart.

  With C the L2-normalised mean feature of an identity p in a modality v or r, sh shared and sp
  specific, and m = `margin`:

  shared     = mean_p ||C_sh,v - C_sh,r||
  specific   = mean_p max(0, m - ||C_sp,v - C_sp,r||)
  decoupling = mean over p and both modalities of max(0, m - ||C_sp - C_sh||)

  Args:
    shared: Visible and infrared features, float [b, d] each; row i of both has label labels[i].
    specific: Visible and infrared features, likewise.
    labels: int [b].
    margin: Margin on distances between unit vectors, which are at most 2.

  Returns:
    The terms, each at least 0. Identities count equally, however many images each has.

  Reference:
    TMPA (arXiv 2312.07021). Only the loss's name and purpose are known to us; the formula is ours.
  """
  shared_v, shared_r, specific_v, specific_r = (
    unit(identity_means(features, labels)) for features in (*shared, *specific)
  )
  # One row per image, so that no shape depends on the number of identities.
  weight = 1 / jnp.sum(labels[:, None] == labels[None, :], axis=1).astype(shared_v.dtype)
  weight = weight / jnp.sum(weight)

  def hinge_distance(x: Array, y: Array) -> Array:
    return jnp.sum(weight * jnp.maximum(0.0, margin - paired_distance(x, y)))

  return SharedSpecific(
    shared=jnp.sum(weight * paired_distance(shared_v, shared_r)),
    specific=hinge_distance(specific_v, specific_r),
    decoupling=(hinge_distance(specific_v, shared_v) + hinge_distance(specific_r, shared_r)) / 2,
  )
