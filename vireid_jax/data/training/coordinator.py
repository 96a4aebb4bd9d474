"""Visible-infrared modality coordinator: four random changes of a visible image's colours.

Each is a pure function of a key and one image, float32 [h, w, 3] with values in [0, 1].

Reference:
  Liang et al., "Bridging the Gap: Multi-Level Cross-Modality Joint Alignment for Visible-Infrared
  Person Re-Identification", TCSVT 2024, and its published code.
"""

import functools
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.options import Number, Several, Share
from vireid_jax.data.training.pixels import inside, mix, rectangle, replicating


def hue_jitter(
  key: Array, image: Array, *, hue: Annotated[float, Number(0, 0.5)] = 0.2, probability: Share = 0.5
) -> Array:
  """Turns the hue by a uniform share of the circle in [-hue, hue], with a probability in [0, 1].

  Saturation and value stay. Before `normalize` only: values in [0, 1].
  """
  apply, turn_key = jax.random.split(key)
  turn = jax.random.uniform(turn_key, (), minval=-hue, maxval=hue)
  return jnp.where(jax.random.bernoulli(apply, probability), _turn_hue(image, turn), image)


def weighted_gray(key: Array, image: Array, *, probability: Share = 0.5) -> Array:
  """Replaces all channels by one random mean of them, with a probability in [0, 1].

  The weights are three uniform numbers divided by their sum.
  """
  apply, weight_key = jax.random.split(key)
  weights = jax.random.uniform(weight_key, (3,), minval=1e-6)
  gray = jnp.broadcast_to((weights / weights.sum())[:, None], (3, 3))
  return mix(image, jnp.where(jax.random.bernoulli(apply, probability), gray, jnp.eye(3)))


def channel_cutmix(
  key: Array,
  image: Array,
  *,
  probability: Share = 0.5,
  area: Annotated[tuple, Several(Number(0, 1), 2, 2, ascending=True)] = (0.02, 0.33),
  as_published: bool = True,
) -> Array:
  """Shows one channel in grey, and another one in a box, with a probability in [0, 1].

  The box has an area in `area`, a share of the image, and an aspect of 0.3 to 3.3 whose logarithm
  is uniform. The published code takes the image's height for its width and the other way round:
  the box of a tall image then has its top in the upper part, and may be cut at the right border or
  be missing. `as_published=False` draws it within the image.
  """
  height, width, _ = image.shape
  apply, channel_key, *keys = jax.random.split(key, 6)
  shape = (width, height) if as_published else (height, width)
  corner, size, fits = rectangle(keys, shape, area, 0.3, 10, log_aspect=True)
  boxed = inside(image, corner, size) & fits
  ground, patch = jax.random.permutation(channel_key, 3)[:2]
  # Twice the choice of a channel instead of a gather, which is slow under vmap.
  mixed = jnp.where(boxed, mix(image, replicating(patch)), mix(image, replicating(ground)))
  return jnp.where(jax.random.bernoulli(apply, probability), mixed, image)


def spectrum_jitter(key: Array, image: Array, *, probability: Share = 0.5) -> Array:
  """Blends the image with one of its channels in grey, with a probability in [0, 1].

  The image's share is uniform in [0, 1].
  """
  apply, channel_key, share_key = jax.random.split(key, 3)
  share = jax.random.uniform(share_key)
  channel = replicating(jax.random.randint(channel_key, (), 0, 3))
  weights = share * jnp.eye(3) + (1 - share) * channel
  return mix(image, jnp.where(jax.random.bernoulli(apply, probability), weights, jnp.eye(3)))


COORDINATED = (hue_jitter, weighted_gray, channel_cutmix, spectrum_jitter)


def modality_coordinator(key: Array, image: Array, *, probability: Share = 0.5) -> Array:
  """Applies one of four changes, all equally likely, with a probability in [0, 1].

  They are `hue_jitter`, `weighted_gray`, `channel_cutmix` and `spectrum_jitter`.
  """
  choice_key, own_key = jax.random.split(key)
  choice = jax.random.randint(choice_key, (), 0, len(COORDINATED))
  changes = [
    functools.partial(operation, own_key, probability=probability) for operation in COORDINATED
  ]
  return jax.lax.switch(choice, changes, image)


def _turn_hue(image: Array, turn: Array) -> Array:
  """Turns the hue of [h, w, 3] in [0, 1] by a share of the circle."""
  value, least = image.max(axis=-1, keepdims=True), image.min(axis=-1, keepdims=True)
  chroma = value - least
  safe = jnp.where(chroma > 0, chroma, 1)
  red, green, blue = (image[..., channel : channel + 1] for channel in range(3))
  sixth = jnp.where(
    value == red,
    (green - blue) / safe,
    jnp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
  )
  # A channel falls from the value to the least one over the two sixths that are farthest from it.
  k = (jnp.array([5.0, 3.0, 1.0]) + sixth + 6 * turn) % 6
  return value - chroma * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
