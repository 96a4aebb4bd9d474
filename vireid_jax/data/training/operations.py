"""Training augmentations: each a pure function of a key and one image, on the device.

An image is float32 [h, w, 3] with values in [0, 1], until `normalize` has made it zero-mean.
Several operations mean different things before and after it; the order in the config is kept.
"""

from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common.options import Number, Several, Share, Whole
from vireid_jax.data.training.coordinator import (
  channel_cutmix,
  hue_jitter,
  modality_coordinator,
  spectrum_jitter,
  weighted_gray,
)
from vireid_jax.data.training.photometric import color_jitter, gaussian_blur, jitter_or_blur
from vireid_jax.data.training.pixels import inside, mix, rectangle, replicating

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.2989, 0.5870, 0.1140)


def pad_crop(
  key: Array,
  image: Array,
  *,
  padding: Annotated[int, Whole(0, 1024)] = 10,
  fill: Annotated[int, Whole(0, 255)] = 0,
  mirror: bool = False,
) -> Array:
  """Pads by `padding` pixels of grey level `fill` (0 to 255) and crops the size back at random.

  With `mirror` the padding is the image mirrored at its border, and not `fill`.
  """
  if image.dtype == jnp.uint8:
    # One word per pixel: the crop, a gather under vmap, is most of what augmenting costs on CPU.
    return _unpack(_pad_crop(key, _pack(image), padding, None if mirror else fill * 0x010101))
  return _pad_crop(key, image, padding, None if mirror else fill / 255)


def flip(key: Array, image: Array, *, probability: Share = 0.5) -> Array:
  """Mirrors left and right with a probability in [0, 1]."""
  return jnp.where(jax.random.bernoulli(key, probability), image[:, ::-1], image)


def normalize(
  key: Array,
  image: Array,
  *,
  mean: Annotated[tuple, Several(Number(-1e3, 1e3), 3, 3)] = IMAGENET_MEAN,
  std: Annotated[tuple, Several(Number(1e-6, 1e6), 3, 3)] = IMAGENET_STD,
) -> Array:
  """Subtracts the mean and divides by the standard deviation of each channel."""
  del key
  return (image - jnp.array(mean, image.dtype)) / jnp.array(std, image.dtype)


def random_erasing(
  key: Array,
  image: Array,
  *,
  probability: Share = 0.5,
  area: Annotated[tuple, Several(Number(0, 1), 2, 2, ascending=True)] = (0.02, 0.4),
  aspect: Annotated[float, Number(0.01, 1)] = 0.3,
  value: Annotated[float | tuple, Several(Number(-1e6, 1e6), 3, 3, allow_single=True)] = 0.0,
  attempts: Annotated[int, Whole(1, 1000)] = 10,
  log_aspect: bool = False,
  noise: bool = False,
) -> Array:
  """Fills a random rectangle with `value`, or with noise.

  The first of `attempts` rectangles that fits is taken; when none does the image stays. The
  published loops make up to 10 (torchvision) or 100 (Ye et al., ICCV 2021) attempts: at 2:1
  images, 10 fail for fewer than one image in a million.

  Args:
    key: of this image.
    image: float [h, w, 3].
    probability: in [0, 1].
    area: smallest and largest share of the image, in [0, 1].
    aspect: smallest height : width; the largest is its inverse.
    value: of the filled pixels, one number or one per channel; 0 after `normalize` is the mean
      colour.
    attempts: rectangles drawn at most.
    log_aspect: draw the logarithm of the aspect uniformly, as torchvision does, and not the aspect.
    noise: fill with numbers of a standard normal distribution, and not with `value`.

  Returns:
    float [h, w, 3].

  Reference:
    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, algorithm 1.
  """
  height, width, _ = image.shape
  apply, *keys = jax.random.split(key, 5)
  corner, size, fits = rectangle(keys, (height, width), area, aspect, attempts, log_aspect)
  erase = inside(image, corner, size) & fits & jax.random.bernoulli(apply, probability)
  if noise:
    value = jax.random.normal(jax.random.fold_in(key, 5), image.shape)
  return jnp.where(erase, jnp.asarray(value, image.dtype), image)


def channel_exchange(
  key: Array, image: Array, *, gray: bool = False, probability: Share = 1.0
) -> Array:
  """Replicates one random channel to all three with a probability in [0, 1].

  With `gray` the luma is a fourth choice, as likely as each channel.

  Reference:
    Ye et al., "Channel Augmented Joint Learning for VI Recognition", ICCV 2021, section 3.1.
  """
  apply_key, gray_key = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
  weights = replicating(jax.random.randint(key, (), 0, 3))
  if gray:
    is_gray = jax.random.bernoulli(gray_key, 0.25)
    weights = jnp.where(is_gray, jnp.broadcast_to(jnp.array(LUMA)[:, None], (3, 3)), weights)
  if probability < 1:
    weights = jnp.where(jax.random.bernoulli(apply_key, probability), weights, jnp.eye(3))
  return mix(image, weights)


def channel_adap(key: Array, image: Array) -> Array:
  """Replicates channel 0, 1 or 2, or leaves the image as it is, each one time in four."""
  choice = jax.random.randint(key, (), 0, 4)
  return mix(image, jnp.where(choice == 3, jnp.eye(3), replicating(choice)))


def channel_adap_gray(key: Array, image: Array, *, probability: Share = 0.5) -> Array:
  """As `channel_adap`, but the fourth case is the luma with the given probability in [0, 1]."""
  choice_key, gray_key = jax.random.split(key)
  choice = jax.random.randint(choice_key, (), 0, 4)
  gray = jnp.broadcast_to(jnp.array(LUMA)[:, None], (3, 3))
  fourth = jnp.where(jax.random.bernoulli(gray_key, probability), gray, jnp.eye(3))
  return mix(image, jnp.where(choice == 3, fourth, replicating(choice)))


def luma(key: Array, image: Array, *, probability: Share = 1.0) -> Array:
  """Replaces all channels by .2989 R + .5870 G + .1140 B with a probability in [0, 1]."""
  if probability < 1:
    gray = jnp.broadcast_to(jnp.array(LUMA)[:, None], (3, 3))
    return mix(image, jnp.where(jax.random.bernoulli(key, probability), gray, jnp.eye(3)))
  # Written out: as a product with a vector it is several times slower on CPU.
  gray = sum(weight * image[..., channel] for channel, weight in enumerate(LUMA))
  return jnp.broadcast_to(gray[..., None], image.shape)


def _pad_crop(key: Array, image: Array, padding: int, value: float | None) -> Array:
  """Pads the first two axes by a value, None to mirror, and crops the size back at random."""
  rest = image.ndim - 2
  widths = ((padding, padding),) * 2 + ((0, 0),) * rest
  how = {"mode": "symmetric"} if value is None else {"constant_values": value}
  padded = jnp.pad(image, widths, **how)
  top, left = jax.random.randint(key, (2,), 0, 2 * padding + 1)
  return jax.lax.dynamic_slice(padded, (top, left) + (0,) * rest, image.shape)


def _pack(image: Array) -> Array:
  """uint8 [h, w, 3] to uint32 [h, w]."""
  red, green, blue = (image[..., channel].astype(jnp.uint32) for channel in range(3))
  return red | green << 8 | blue << 16


def _unpack(packed: Array) -> Array:
  """uint32 [h, w] to uint8 [h, w, 3]."""
  return jnp.stack([packed >> shift & 255 for shift in (0, 8, 16)], -1).astype(jnp.uint8)


def to_float(image: Array) -> Array:
  """Returns a uint8 image as float32 in [0, 1]; a float image [h, w, 3] unchanged."""
  return image.astype(jnp.float32) / 255 if image.dtype == jnp.uint8 else image


OPERATIONS = {
  operation.__name__: operation
  for operation in (
    pad_crop,
    flip,
    normalize,
    random_erasing,
    channel_exchange,
    channel_adap,
    channel_adap_gray,
    luma,
    hue_jitter,
    weighted_gray,
    channel_cutmix,
    spectrum_jitter,
    modality_coordinator,
    color_jitter,
    gaussian_blur,
    jitter_or_blur,
  )
}


# These move pixels without changing them, so they may run on the raw bytes: a quarter of the
# traffic. Only they may be shared by a pair of images and their masks.
ON_BYTES = (pad_crop, flip)
