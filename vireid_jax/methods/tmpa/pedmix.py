"""PedMix: exchanges corresponding pedestrian regions between the images of a pair, on device.

Reference:
  TMPA (arXiv 2312.07021). PedMix is known to mix corresponding pedestrian regions of the two
  modalities coherently, with a mix ratio. The definitions of region and correspondence, and the
  control strategies, are our choice.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array

from vireid_jax.common import options
from vireid_jax.common.durations import Duration
from vireid_jax.common.options import OneOf, Share, Whole
from vireid_jax.methods.tmpa import region as region_lib

# Strategies that use the pedestrian's region, and the controls that do not.
REGIONAL = ("swap", "blend")
STRATEGIES = ("none", "mixup", "cutmix", "global", *REGIONAL)
SMOOTHED_ROWS = 0.05  # share of the height, to either side


@dataclasses.dataclass(frozen=True)
class PedMix:
  """Mixes the two images of a pair. Both have the same label, so labels do not change.

  For each of the two images:
    'swap': the pedestrians' boxes are cut into horizontal bands of equal height; round(ratio *
      bands) adjacent bands are resampled from the other box into this one, band k to band k, and
      pasted inside the pedestrian region.
    'blend': (1 - ratio) of the image plus `ratio` of the other, box mapped to box, inside the
      region.
    'global': 'swap' with the whole image as region and box.
    'mixup': (1 - ratio) of the image plus `ratio` of the other, everywhere.
    'cutmix': a rectangle covering `ratio` of the image (less if cut off at the border) is exchanged
      at the same position.
    'none': images stay unchanged.

  Attributes:
    strategy: Mixing strategy: 'swap' bands of the pedestrian, 'blend' inside the region, or the
      controls 'global', 'mixup', 'cutmix' and 'none'.
    region: Source of the pedestrian's region: 'prior', 'mask' (the data set's) or 'cam' (the
      network's own activation, above its mean).
    cam_warmup: How long 'cam' uses the prior, until the network attends to people; a duration.
    ratio: Share of the other modality, in [0, 1].
    probability: Probability that a pair is mixed, in [0, 1].
    bands: Number of bands that 'swap' cuts a pedestrian into.
  """

  strategy: Annotated[str, OneOf(STRATEGIES)] = "swap"
  region: Annotated[str, OneOf(region_lib.SOURCES)] = "prior"
  cam_warmup: Annotated[str, Duration()] = "2000 steps"
  ratio: Share = 0.5
  probability: Share = 0.5
  bands: Annotated[int, Whole(1, 1000)] = 6

  def __post_init__(self):
    options.check(self)

  @property
  def is_regional(self) -> bool:
    """Whether the strategy uses regions."""
    return self.strategy in REGIONAL

  @property
  def needs_masks(self) -> bool:
    """Whether the regions come from the data set's masks."""
    return self.is_regional and self.region == "mask"

  @property
  def moved_bands(self) -> int:
    """Number of exchanged bands: ratio * bands, halves rounded up."""
    return int(self.ratio * self.bands + 0.5)

  def __call__(
    self,
    key: Array,
    images: tuple[Array, Array],
    regions: tuple[Array, Array] | Array | None = None,
  ) -> tuple[Array, Array]:
    """Mixes each pair with independent random draws.

    Args:
      key: Key of the batch.
      images: Visible and infrared images, uint8 [b, h, w, 3].
      regions: Regions of both, float32 [b, h, w]; or one region [h, w] for all images, which needs
        no resampling. Ignored unless the strategy is regional.

    Returns:
      The mixed visible and infrared images, uint8 [b, h, w, 3].
    """
    if self.strategy == "none":
      return images
    if not self.is_regional:
      regions = jnp.ones(images[0].shape[1:3], jnp.float32)
    keys = jax.random.split(key, images[0].shape[0])
    if isinstance(regions, tuple):
      return jax.vmap(self._mix_pair)(keys, *images, *regions)
    return jax.vmap(lambda *pair: self._mix_pair(*pair, regions, None))(keys, *images)

  def _mix_pair(self, key, visible, infrared, visible_region, infrared_region):
    """Mixes two images [h, w, 3] with regions [h, w]; the second is None if both are equal."""
    apply_key, place_key = jax.random.split(key)
    apply = jax.random.bernoulli(apply_key, float(self.probability))
    # One draw for both directions: an image gives and receives the same place.
    place = self._draw_place(place_key, visible.shape[:2])
    if infrared_region is None:
      share = visible_region * place(visible_region)
      mixed = _lay_over(visible, share, infrared), _lay_over(infrared, share, visible)
    else:
      mixed = (
        self._paste(place, visible, visible_region, infrared, infrared_region),
        self._paste(place, infrared, infrared_region, visible, visible_region),
      )
    return tuple(
      jnp.where(apply, new, old) for new, old in zip(mixed, (visible, infrared), strict=True)
    )

  def _draw_place(self, key: Array, size: tuple[int, int]) -> Callable[[Array], Array]:
    """Returns a function from a region [h, w] to the share of the other image [h, w]."""
    if self.strategy in ("swap", "global"):
      first = jax.random.randint(key, (), 0, self.bands - self.moved_bands + 1)
      return lambda region: self._in_bands(region, first)
    if self.strategy == "cutmix":
      inside = _rectangle(key, size, self.ratio)
      return lambda region: inside
    return lambda region: jnp.full(size, self.ratio, jnp.float32)

  def _in_bands(self, region: Array, first: Array) -> Array:
    top, bottom, _, _ = region_lib.box(region)
    position = (jnp.arange(region.shape[0]) + 0.5 - top) / (bottom - top)
    band = jnp.floor(position * self.bands)
    chosen = (band >= first) & (band < first + self.moved_bands)
    return jnp.broadcast_to(chosen[:, None], region.shape).astype(jnp.float32)

  def _paste(self, place, image: Array, region: Array, other: Array, other_region: Array) -> Array:
    """Blends the other image over this one within the place and both regions."""
    layers = jnp.concatenate([other.astype(jnp.float32), other_region[..., None]], axis=-1)
    layers = _resample(layers, other_region, region)
    # Only pixels of the pedestrian in both images, so that no background is pasted.
    share = jnp.minimum(region, layers[..., 3])
    return _lay_over(image, share * place(region), layers[..., :3])


def _lay_over(image: Array, share: Array, other: Array) -> Array:
  """Mixes an image, uint8 [h, w, 3], with a share [h, w] of another of that shape."""
  difference = other.astype(jnp.float32) - image
  return jnp.round(image + share[..., None] * difference).astype(jnp.uint8)


def _rectangle(key: Array, size: tuple[int, int], share: float) -> Array:
  """Returns ones in a rectangle of the image's aspect ratio around a random point, else zeros.

  Reference:
    Yun et al., "CutMix", ICCV 2019, section 3.1.
  """
  sides = []
  for length, side_key in zip(size, jax.random.split(key), strict=True):
    centre = jax.random.uniform(side_key, (), maxval=length)
    position = jnp.arange(length) + 0.5
    sides.append(jnp.abs(position - centre) < 0.5 * length * share**0.5)
  return (sides[0][:, None] & sides[1][None, :]).astype(jnp.float32)


def _resample(image: Array, source: Array, target: Array) -> Array:
  """Resamples a pedestrian to the position of another, bilinearly: [h, w, c] to [h, w, c].

  Boxes are aligned first, then each row's leftmost and rightmost pedestrian pixels, so that
  outlines match in any pose.

  Args:
    image: float [h, w, c].
    source: Region [h, w] of the image.
    target: Region [h, w] of the other image.
  """
  height, width, _ = image.shape
  top, bottom, left, right = region_lib.box(source)
  first, last, low, high = region_lib.box(target)
  rows = _positions(height, (top, bottom), (first, last))
  # A small matrix product is faster on accelerators than a gather, and with two weights per row it
  # is exact in any order.
  image = jnp.einsum("yj,jkc->ykc", _weights(rows, height), image, precision="highest")
  moved = jnp.einsum("yj,jk->yk", _weights(rows, height), source, precision="highest")
  columns = jax.vmap(functools.partial(_positions, width))(
    _row_extents(moved, left, right), _row_extents(target, low, high)
  )
  return _take_columns(image, columns)


def _positions(length: int, source, target) -> Array:
  """Returns the position in the source interval of each target pixel: float32 [length]."""
  (low, high), (first, last) = source, target
  centre = jnp.arange(length, dtype=jnp.float32) + 0.5
  position = low + (centre - first) * ((high - low) / (last - first)) - 0.5
  # Positions outside the other's pedestrian are clipped to it.
  return jnp.clip(position, low, high - 1)


def _weights(positions: Array, length: int) -> Array:
  """Returns the matrix [n, length] that interpolates a column at n positions."""
  return jnp.maximum(0.0, 1 - jnp.abs(positions[:, None] - jnp.arange(length)[None, :]))


def _row_extents(region: Array, low: Array, high: Array) -> tuple[Array, Array]:
  """Returns the first and last pedestrian column of each row, [h] each; (low, high) in empty rows.

  They are averaged over neighbouring rows: an arm that starts abruptly would otherwise distort the
  pattern of a coat.
  """
  occupied = region > 0.5
  some = occupied.any(axis=1)
  first = jnp.where(some, jnp.argmax(occupied, axis=1), low)
  last = jnp.where(some, region.shape[1] - jnp.argmax(occupied[:, ::-1], axis=1), high)
  rows = jnp.arange(region.shape[0])
  near = (jnp.abs(rows[:, None] - rows[None, :]) <= SMOOTHED_ROWS * len(rows)) & some[None, :]
  near = jnp.where(some[:, None], near, rows[:, None] == rows[None, :]).astype(jnp.float32)
  near = near / near.sum(axis=1, keepdims=True)
  return tuple(jnp.matmul(near, side, precision="highest") for side in (first, last))


def _take_columns(image: Array, positions: Array) -> Array:
  """Interpolates each row of an image [h, w, c] at its positions [h, w]."""
  whole = jnp.floor(positions)
  share = (positions - whole)[..., None]
  index = whole.astype(jnp.int32)[..., None]
  following = jnp.minimum(index + 1, image.shape[1] - 1)
  here, there = (jnp.take_along_axis(image, i, axis=1) for i in (index, following))
  return here + share * (there - here)
