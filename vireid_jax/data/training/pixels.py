"""What augmentations of one image share: mixtures of channels, and random rectangles."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array


def replicating(channel: Array) -> Array:
  """The mixture that replicates a channel: float32 [3, 3]; zeros for none of 0, 1, 2."""
  return jnp.broadcast_to((jnp.arange(3) == channel)[:, None], (3, 3)).astype(jnp.float32)


def mix(image: Array, weights: Array) -> Array:
  """Makes every channel j the sum of weights[i, j] times channel i.

  Multiplied even where a choice would do: XLA computes all that comes before a choice once for each
  alternative. Written out: a product with a 3x3 matrix is slower still. Weights 0 and 1 are exact.
  """
  weights = weights.astype(image.dtype)
  return sum(image[..., channel : channel + 1] * weights[channel] for channel in range(3))


def rectangle(
  keys: Sequence[Array],
  shape: tuple[int, int],
  area: tuple[float, float],
  aspect: float,
  attempts: int,
  log_aspect: bool,
) -> tuple[tuple[Array, Array], tuple[Array, Array], Array]:
  """Draws (top, left), (height, width) and whether one fits; see `random_erasing`."""
  height, width = shape
  area_key, aspect_key, top_key, left_key = keys
  share = jax.random.uniform(area_key, (attempts,), minval=area[0], maxval=area[1])
  low, high = (math.log(aspect), -math.log(aspect)) if log_aspect else (aspect, 1 / aspect)
  ratio = jax.random.uniform(aspect_key, (attempts,), minval=low, maxval=high)
  ratio = jnp.exp(ratio) if log_aspect else ratio
  pixels = share * height * width
  tall = jnp.round(jnp.sqrt(pixels * ratio)).astype(jnp.int32)
  wide = jnp.round(jnp.sqrt(pixels / ratio)).astype(jnp.int32)
  fits = (tall < height) & (wide < width)
  first = jnp.argmax(fits)
  tall, wide = tall[first], wide[first]
  top = jax.random.randint(top_key, (), 0, jnp.maximum(height - tall, 0) + 1)
  left = jax.random.randint(left_key, (), 0, jnp.maximum(width - wide, 0) + 1)
  return (top, left), (tall, wide), fits[first]


def inside(image: Array, corner: tuple[Array, Array], size: tuple[Array, Array]) -> Array:
  """Marks the pixels of a rectangle: bool [h, w, 1]."""
  (top, left), (tall, wide) = corner, size
  y, x = jnp.arange(image.shape[0])[:, None, None], jnp.arange(image.shape[1])[None, :, None]
  return (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)
