"""Blur: lens, glass and motion."""

import numpy as np

from vireid_jax.data.corruptions import filters


def defocus_blur(image, severity: int, random: np.random.Generator):
  """Averages over a disk, as a lens out of focus does."""
  del random
  radius, edge = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
  return filters.convolve(image, filters.disk(radius, edge))


def glass_blur(image, severity: int, random: np.random.Generator):
  """Looks through frosted glass: blurs, and swaps in pixels from nearby."""
  sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[
    severity - 1
  ]
  image = filters.gaussian(image, sigma)
  height, width = image.shape[:2]
  row, column = np.mgrid[:height, :width]
  for _ in range(rounds):
    shift = random.integers(-reach, reach + 1, (2, height, width))
    image = image[np.clip(row + shift[0], 0, height - 1), np.clip(column + shift[1], 0, width - 1)]
  return filters.gaussian(image, sigma)


def motion_blur(image, severity: int, random: np.random.Generator):
  """Smears along a line within 45 degrees of the horizontal."""
  length, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
  return filters.smear(image, length, sigma, random.uniform(-45, 45))


def zoom_blur(image, severity: int, random: np.random.Generator):
  """Averages over growing magnifications, as when moving towards the subject."""
  del random
  largest, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[
    severity - 1
  ]
  zoomed = [filters.zoom(image, factor) for factor in np.arange(1 + step, largest, step)]
  return np.mean([image, *zoomed], axis=0)


def gaussian_blur(image, severity: int, random: np.random.Generator):
  """Convolves with a Gaussian."""
  del random
  return filters.gaussian(image, (1, 2, 3, 4, 6)[severity - 1])
