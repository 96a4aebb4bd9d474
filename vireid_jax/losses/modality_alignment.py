"""Modality alignment loss of MUN: distributions aligned through accumulated prototypes.

A modality is described by its centre: the mean of its features in the space of a Gaussian kernel.
Prototypes are centres accumulated over steps, so that the direction of alignment is stable across
batches.

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
# Number of random Fourier features, and width of the kernel in distances on the unit sphere.
FOURIER_FEATURES = 512
KERNEL_WIDTH = 0.5
FOURIER_SEED = 0


def modality_center(features: Array) -> Array:
  """Describes a modality by the mean of its random Fourier features.

  Squared distances between centres approximate the squared maximum mean discrepancy under a
  Gaussian kernel of width 0.5.

  Args:
    features: float [b, d]; normalised here.

  Returns:
    float [512], float32 at least; its squared norm is at most 2, and close to 1 in expectation.

  Reference:
    Rahimi and Recht, "Random Features for Large-Scale Kernel Machines", 2007.
  """
  return jnp.mean(_fourier(unit(features)), axis=0)


def accumulate(prototype: Array, center: Array, started: Array, *, rate: float) -> Array:
  """Updates a prototype: p <- a p + (1 - a) center, without gradient.

  Args:
    prototype: float [k].
    center: float [k].
    started: bool scalar; False before the first step, at which p is the centre itself.
    rate: Share of the old prototype kept per step (a), in [0, 1].

  Returns:
    float [k].
  """
  center = jax.lax.stop_gradient(center)
  return jnp.where(started, rate * prototype + (1 - rate) * center, center)


def straight_through(prototype: Array, center: Array) -> Array:
  """Returns the prototype [k] with the gradient of the centre [k].

  Two prototypes average over the same identities; a centre covers only the few of one batch, and
  its distance to a prototype would be mostly due to them rather than to the modality.
  """
  return jax.lax.stop_gradient(prototype - center) + center


def modality_alignment(
  centers: Mapping[str, Array], prototypes: Mapping[str, Array], *, bridge: bool = True
) -> Array:
  """Squared distances between the modalities' centres and the others' prototypes.

  L = 1/2 sum_{m in v, r} (||mu_m - p_a||^2 + ||mu_a - p_m||^2); without the bridge
  L = 1/2 (||mu_v - p_r||^2 + ||mu_r - p_v||^2).

  Args:
    centers: float [k] by modality: 'visible', 'infrared' and, for the bridge, 'auxiliary'.
    prototypes: float [k] by modality; they receive no gradient.
    bridge: Align both modalities with the auxiliary one, not with each other.

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
