"""Modality alignment loss of MUN: distributions drawn together through accumulated prototypes.

A modality is described by one vector, its centre: the direction of its mean feature, or its mean
embedding in the space of a Gaussian kernel. Prototypes are centres accumulated over the steps, so
that the direction of the alignment does not jump from batch to batch.

Reference:
  Yu et al., "Modality Unifying Network for Visible-Infrared Person Re-Identification", ICCV 2023.
  The paper's words are prototypes, temporal accumulation and the auxiliary modality as a bridge;
  the formulas are our reading of them.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vireid_jax.losses.distance import unit

VISIBLE, AUXILIARY, INFRARED = "visible", "auxiliary", "infrared"
# Random Fourier features: how many, and the width of the kernel in the unit sphere's distances.
FOURIER_FEATURES = 512
KERNEL_WIDTH = 0.5
FOURIER_SEED = 0


def modality_center(features: Array, metric: str = "mean_l2") -> Array:
  """Describes a modality by one vector.

  Args:
    features: float [b, d]; L2-normalised here.
    metric: 'mean_l2': the mean direction, l2norm(mean_i l2norm(f_i)), [d]. 'mean': the same, not
      normalised again, [d]. 'mmd': the mean of the random Fourier features, [512], of a Gaussian
      kernel of width 0.5, whose squared distance approximates the squared maximum mean discrepancy
      (Rahimi and Recht, 2007). Features that batch norm has centred need one of the latter two:
      their means nearly vanish, and the direction of what is left says nothing.

  Returns:
    float32 at least. Squared distances between centres are at most 4; with 'mmd' at most 8, since
    the squared norm of the random features is at most 2, and close to 1 in expectation.
  """
  directions = unit(features)
  if metric == "mmd":
    return jnp.mean(_fourier(directions), axis=0)
  mean = jnp.mean(directions, axis=0)
  return unit(mean) if metric == "mean_l2" else mean


def center_size(features: int, metric: str) -> int:
  """Numbers in a centre of features [b, d]."""
  return FOURIER_FEATURES if metric == "mmd" else features


def accumulate(prototype: Array, center: Array, started: Array, *, rate: float, metric: str):
  """Moves a prototype by a step: p <- a p + (1 - a) center, without gradient.

  Args:
    prototype, center: float [k].
    started: bool scalar; before the first step the centre is taken as it is.
    rate: a, share of the old prototype kept per step, in [0, 1].
    metric: with 'mean_l2' prototypes are unit vectors.

  Returns:
    float [k].
  """
  center = jax.lax.stop_gradient(center)
  moved = rate * prototype + (1 - rate) * center
  moved = unit(moved) if metric == "mean_l2" else moved
  return jnp.where(started, moved, center)


def straight_through(prototype: Array, center: Array) -> Array:
  """Returns the prototype with the gradient of the centre, which it holds a share of.

  Two such prototypes have met the same people, while a centre stands for the few people of one
  batch: its distance to a prototype is mostly theirs, not that of the modalities.

  Args:
    prototype, center: float [k].
  """
  return jax.lax.stop_gradient(prototype - center) + center


def modality_alignment(
  centers: Mapping[str, Array], prototypes: Mapping[str, Array], *, bridge: bool = True
) -> Array:
  """Squared distances between the modalities' centres and the others' prototypes.

  L = 1/2 sum_{m in v, r} (||mu_m - p_a||^2 + ||mu_a - p_m||^2); without the bridge
  L = 1/2 (||mu_v - p_r||^2 + ||mu_r - p_v||^2).

  Args:
    centers: 'visible', 'infrared' and, for the bridge, 'auxiliary': float [k].
    prototypes: the same keys; no gradient reaches them.
    bridge: align either modality with the auxiliary one, not with the other.

  Returns:
    Scalar, at least 0.
  """
  pairs = [(VISIBLE, AUXILIARY), (INFRARED, AUXILIARY)] if bridge else [(VISIBLE, INFRARED)]
  pairs += [(n, m) for m, n in pairs]
  return sum(_square(centers[m], prototypes[n]) for m, n in pairs) / 2


def _square(center: Array, prototype: Array) -> Array:
  return jnp.sum((center - jax.lax.stop_gradient(prototype)) ** 2)


def _fourier(x: Array) -> Array:
  """Maps [b, d] to [b, 512], whose inner products approximate exp(-||x - y||^2 / (2 width^2))."""
  draws = np.random.default_rng(FOURIER_SEED)
  frequencies = draws.normal(size=(x.shape[-1], FOURIER_FEATURES)) / KERNEL_WIDTH
  phases = draws.uniform(0, 2 * np.pi, FOURIER_FEATURES)
  angles = jnp.matmul(x, jnp.asarray(frequencies, x.dtype), precision="highest")
  return np.sqrt(2 / FOURIER_FEATURES) * jnp.cos(angles + jnp.asarray(phases, x.dtype))
