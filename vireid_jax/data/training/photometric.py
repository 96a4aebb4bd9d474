"""Brightness, contrast and sharpness: pure functions of a key and one image.

An image is float32 [h, w, 3] with values in [0, 1], before `normalize`.
"""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vireid_jax.common.options import Number, Several, Share, Whole

GRAY = (0.299, 0.587, 0.114)
# The same as Pillow computes it, in units of 1 / 65,536.
PILLOW_GRAY = (19595, 38470, 7471)
Size = Annotated[int, Whole(1, 255)]
Sigma = Annotated[tuple, Several(Number(0.01, 100), 2, 2, ascending=True)]


def color_jitter(
  key: Array, image: Array, *, brightness: Share = 0.3, contrast: Share = 0.3
) -> Array:
  """Multiplies by U(1 - b, 1 + b), and the distance from the mean gray by U(1 - c, 1 + c).

  In random order, each clipped to [0, 1], like torchvision's. Before `normalize` only.
  """
  order, *keys = jax.random.split(key, 3)
  factors = [
    jax.random.uniform(each, minval=1 - most, maxval=1 + most)
    for each, most in zip(keys, (brightness, contrast), strict=True)
  ]

  def brighten(x: Array) -> Array:
    return jnp.clip(x * factors[0], 0, 1)

  def stretch(x: Array) -> Array:
    mean = sum(weight * x[..., channel].mean() for channel, weight in enumerate(GRAY))
    return jnp.clip(mean + factors[1] * (x - mean), 0, 1)

  is_first = jax.random.bernoulli(order)
  return jnp.where(is_first, stretch(brighten(image)), brighten(stretch(image)))


def gaussian_blur(key: Array, image: Array, *, size: Size = 21, sigma: Sigma = (0.1, 3.0)) -> Array:
  """Blurs by a Gaussian of `size` taps (an odd number), its deviation uniform in `sigma`, pixels.

  Beyond the border the image is mirrored.
  """
  deviation = jax.random.uniform(key, minval=sigma[0], maxval=sigma[1])
  height, width, _ = image.shape
  down, across = (_blur_matrix(side, size // 2, deviation) for side in (height, width))
  return jnp.einsum("yh,xw,hwc->yxc", down, across, image, precision="highest")


def jitter_or_blur(
  key: Array,
  image: Array,
  *,
  brightness: Share = 0.3,
  contrast: Share = 0.3,
  size: Size = 21,
  sigma: Sigma = (0.1, 3.0),
) -> Array:
  """Applies one of `color_jitter` and `gaussian_blur`, both equally likely."""
  choice, own = jax.random.split(key)
  jittered = color_jitter(own, image, brightness=brightness, contrast=contrast)
  blurred = gaussian_blur(own, image, size=size, sigma=sigma)
  return jnp.where(jax.random.bernoulli(choice), jittered, blurred)


def pillow_gray(images: Array) -> Array:
  """Returns uint8 images [..., 3] whose channels are all the gray that Pillow computes of them."""
  weights = zip(PILLOW_GRAY, jnp.moveaxis(images.astype(jnp.uint32), -1, 0), strict=True)
  gray = (sum(weight * channel for weight, channel in weights) + 2**15) >> 16
  return jnp.broadcast_to(gray.astype(jnp.uint8)[..., None], images.shape)


def _blur_matrix(side: int, reach: int, deviation: Array) -> Array:
  """The blur of one axis as a matrix [side, side]; taps beyond the border fall on their mirror."""
  taps = np.arange(-reach, reach + 1)
  weights = jnp.exp(-(taps**2) / (2 * deviation**2))
  period = max(2 * side - 2, 1)
  places = (np.arange(side)[:, None] + taps) % period
  places = np.minimum(places, period - places)
  hits = (places[..., None] == np.arange(side)).astype(np.float32)  # [side, taps, side]
  return jnp.einsum("t,yts->ys", weights / weights.sum(), hits)
