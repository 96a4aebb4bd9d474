"""Weather between the camera and its subject."""

import numpy as np

from vireid_jax.data.corruptions import filters


def snow(image, severity: int, random: np.random.Generator):
  """Draws falling snowflakes over a whitened picture."""
  # mean and spread of the noise, size of a flake, threshold, length and sigma of the trace,
  # fraction of the picture that is not whitened
  mean, spread, size, threshold, length, sigma, kept = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
  )[severity - 1]
  flakes = filters.zoom(random.normal(mean, spread, image.shape[:2]), size)
  flakes = np.where(flakes < threshold, 0, np.clip(flakes, 0, 1))
  flakes = filters.smear(flakes, length, sigma, random.uniform(45, 135))[..., None]
  whitened = np.maximum(image, 1.5 * filters.gray(image) + 0.5)
  return kept * image + (1 - kept) * whitened + flakes + flakes[::-1, ::-1]


def frost(image, severity: int, random: np.random.Generator):
  """Covers the lens with ice: needles and patches from ridges of fractal noise."""
  kept, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
  shape = image.shape[:2]
  needles = 1 - np.abs(2 * filters.clouds(shape, 1.3, random) - 1)
  patches = filters.clouds(shape, 2, random)
  layer = np.clip(1.4 * needles**4 * patches + 0.5 * patches**2, 0, 1)[..., None]
  return kept * image + ice * layer * np.array([0.85, 0.95, 1.0])


def fog(image, severity: int, random: np.random.Generator):
  """Veils the picture with a bright fractal field and keeps the brightest value."""
  amount, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[severity - 1]
  brightest = image.max()
  veiled = image + amount * filters.clouds(image.shape[:2], decay, random)[..., None]
  return veiled * brightest / (brightest + amount)


def rain(image, severity: int, random: np.random.Generator):
  """Draws slanted streaks over a darkened, slightly blurred picture."""
  # fraction of pixels where a drop starts, length of a streak, brightness kept, blur in pixels
  density, length, kept, blur = (
    (0.005, 8, 0.9, 0.4),
    (0.01, 10, 0.85, 0.6),
    (0.02, 12, 0.8, 0.8),
    (0.03, 16, 0.75, 1.0),
    (0.045, 20, 0.7, 1.2),
  )[severity - 1]
  drops = (random.random(image.shape[:2]) < density).astype(np.float32)
  streaks = filters.smear(drops, length, length, random.uniform(70, 110)) * length
  streaks = np.clip(filters.gaussian(streaks, 0.5), 0, 1)[..., None]
  return kept * filters.gaussian(image, blur) + 0.4 * streaks


def spatter(image, severity: int, random: np.random.Generator):
  """Splashes the lens: with water at the first three severities, with mud at the others."""
  # mean and spread of the noise, size of a drop, threshold, strength of water or blur of mud
  mean, spread, size, threshold, strength = (
    (0.65, 0.3, 4, 0.69, 0.6),
    (0.65, 0.3, 3, 0.68, 0.6),
    (0.65, 0.3, 2, 0.68, 0.5),
    (0.65, 0.3, 1, 0.65, 1.5),
    (0.67, 0.4, 1, 0.65, 1.5),
  )[severity - 1]
  drops = filters.gaussian(random.normal(mean, spread, image.shape[:2]), size)
  if severity > 3:
    cover = filters.gaussian((drops > threshold).astype(np.float32), strength)
    cover = np.where(cover < 0.8, 0, cover)[..., None]
    return image * (1 - cover) + cover * np.array([63, 42, 20]) / 255
  drops = np.where(drops < threshold, 0, drops)
  rim = np.clip(filters.gaussian(drops, 0.6) - filters.gaussian(drops, 2) + 0.4 * drops, 0, 1)
  water = (strength * rim / max(rim.max(), 1e-6))[..., None]
  return image + water * (np.array([175, 238, 238]) / 255)
