"""Corrupted images: 20 kinds of corruption at 5 severities, as pure functions of a seed.

The kinds, and the strengths of all but `rain`, follow Hendrycks and Dietterich. Lengths in pixels
are not scaled to the image, except for `elastic`. Frost is drawn instead of taken from photographs,
and no kind is bit-identical to the original: compare results only within this package.

Reference:
  Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
  Perturbations", ICLR 2019, section 3; for re-identification Chen et al., "Benchmarks for
  Corruption Invariant Person Re-identification", NeurIPS 2021.
"""

import dataclasses
import zlib

import numpy as np

from vireid_jax.common.errors import UserError, choose
from vireid_jax.data.corruptions import blur, digital, noise, weather

KINDS = {
  function.__name__: function
  for function in (
    noise.gaussian_noise,
    noise.shot_noise,
    noise.impulse_noise,
    noise.speckle_noise,
    blur.defocus_blur,
    blur.glass_blur,
    blur.motion_blur,
    blur.zoom_blur,
    blur.gaussian_blur,
    weather.snow,
    weather.frost,
    weather.fog,
    weather.rain,
    weather.spatter,
    digital.brightness,
    digital.contrast,
    digital.saturate,
    digital.elastic,
    digital.pixelate,
    digital.jpeg,
  )
}
SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(image, kind: str, severity: int, random: np.random.Generator) -> np.ndarray:
  """Corrupts an image.

  Args:
    image: uint8 [h, w, 3], RGB.
    kind: Kind of corruption, a key of `KINDS`.
    severity: Severity, 1 (mild) to 5.
    random: Generator for the random kinds.

  Returns:
    uint8 [h, w, 3].

  Raises:
    UserError: The kind or severity is unknown.
  """
  corruption = choose(kind, KINDS, "corruption")
  if severity not in SEVERITIES:
    raise UserError(f"corruption severity is {severity!r}; it must be one of {SEVERITIES}")
  corrupted = corruption(np.asarray(image, np.float32) / 255, severity, random)
  return np.rint(255 * np.clip(corrupted, 0, 1)).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Corruption:
  """One corrupted copy of a test set: each image draws one kind and one severity.

  Attributes:
    kinds: Kinds to draw from uniformly; empty for all.
    severities: Severities to draw from uniformly.
    seed: Seed of the copy. With an image's name it fixes the corruption, in any order of images.
  """

  kinds: tuple[str, ...] = ()
  severities: tuple[int, ...] = SEVERITIES
  seed: int = 0

  def __post_init__(self):
    for kind in self.kinds:
      choose(kind, KINDS, "corruption")
    if not self.severities or not set(self.severities) <= set(SEVERITIES):
      raise UserError(
        f"corruption severities are {self.severities!r}; choose at least one of {SEVERITIES}"
      )

  def draw(self, name: str) -> tuple[str, int, np.random.Generator]:
    """Returns the kind, the severity and the random generator for the image called `name`."""
    random = np.random.default_rng((self.seed, zlib.crc32(name.encode())))
    kinds = self.kinds or tuple(KINDS)
    kind = kinds[random.integers(len(kinds))]
    return kind, self.severities[random.integers(len(self.severities))], random

  def __call__(self, name: str, image: np.ndarray) -> np.ndarray:
    """Corrupts the image called `name`, uint8 [h, w, 3] to uint8 [h, w, 3]."""
    return corrupt(image, *self.draw(name))
