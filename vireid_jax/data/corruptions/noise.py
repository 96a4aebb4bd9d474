"""Noise: sensor and transmission."""

import numpy as np


def gaussian_noise(image, severity: int, random: np.random.Generator):
  """Adds white noise, as in poor light."""
  sigma = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
  return image + random.normal(0, sigma, image.shape)


def shot_noise(image, severity: int, random: np.random.Generator):
  """Counts few photons: the noise grows with the root of the intensity."""
  photons = (60, 25, 12, 5, 3)[severity - 1]
  return random.poisson(image * photons) / photons


def impulse_noise(image, severity: int, random: np.random.Generator):
  """Sets a fraction of the values to black or white."""
  share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
  hit = random.random(image.shape) < share
  return np.where(hit, random.integers(0, 2, image.shape), image)


def speckle_noise(image, severity: int, random: np.random.Generator):
  """Adds noise in proportion to the intensity."""
  sigma = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1]
  return image * (1 + random.normal(0, sigma, image.shape))
