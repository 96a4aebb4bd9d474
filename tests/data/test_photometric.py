"""Jitter, blur and gray: by hand, at the border, as often as each, and as Pillow computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from vireid_jax.common.errors import UserError
from vireid_jax.data.training import photometric
from vireid_jax.data.training.augment import make_pipeline

RNG = np.random.default_rng(0)


def keys(count):
  return jax.random.split(jax.random.key(0), count)


def test_gray_is_pillows():
  image = RNG.integers(0, 256, (40, 30, 3), np.uint8)
  expected = np.asarray(Image.fromarray(image).convert("L"))
  ours = np.asarray(jax.jit(photometric.pillow_gray)(image))
  np.testing.assert_array_equal(ours, np.repeat(expected[..., None], 3, -1), strict=True)


def test_brightness_alone_multiplies_by_uniform_factors_and_clips():
  image = jnp.array([[[0.5, 0.25, 0.9]]])
  jitter = jax.vmap(lambda key: photometric.color_jitter(key, image, contrast=0.0))
  found = np.asarray(jitter(keys(4000)))[:, 0, 0]
  factors = found[:, 0] / 0.5
  assert factors.min() == pytest.approx(0.7, abs=0.005)
  assert factors.max() == pytest.approx(1.3, abs=0.005)
  assert factors.mean() == pytest.approx(1, abs=0.01)
  np.testing.assert_allclose(found[:, 1], 0.25 * factors, rtol=1e-5)
  np.testing.assert_allclose(found[:, 2], np.minimum(0.9 * factors, 1), rtol=1e-5)


def test_contrast_alone_keeps_the_mean_gray_and_stretches_around_it():
  image = jnp.asarray(RNG.uniform(0.4, 0.6, (6, 4, 3)), jnp.float32)
  weights = np.array([0.299, 0.587, 0.114])
  mean = float((np.asarray(image) @ weights).mean())
  jitter = jax.vmap(lambda key: photometric.color_jitter(key, image, brightness=0.0))
  for found in np.asarray(jitter(keys(20))):
    assert (found @ weights).mean() == pytest.approx(mean, abs=1e-6)
    factor = (found - mean) / (np.asarray(image) - mean)
    np.testing.assert_allclose(factor, factor[0, 0, 0], rtol=1e-3)
    assert 0.7 <= factor[0, 0, 0] <= 1.3


def plain_blur(image, size, sigma):
  """Restates the blur by shifted copies of a mirrored image."""
  reach = size // 2
  taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
  taps /= taps.sum()
  for axis in (0, 1):
    pad = [(reach, reach) if each == axis else (0, 0) for each in range(3)]
    padded = np.pad(image, pad, mode="reflect")
    shifted = [np.take(padded, np.arange(image.shape[axis]) + t, axis) for t in range(size)]
    image = sum(tap * part for tap, part in zip(taps, shifted, strict=True))
  return image


@pytest.mark.parametrize("size, sigma", [(21, 3.0), (5, 0.7), (1, 2.0)])
def test_blur_mirrors_at_the_border(size, sigma):
  image = RNG.uniform(size=(24, 12, 3)).astype(np.float32)
  found = photometric.gaussian_blur(
    jax.random.key(0), jnp.asarray(image), size=size, sigma=(sigma, sigma)
  )
  np.testing.assert_allclose(found, plain_blur(image, size, sigma), atol=1e-6)


def test_one_of_both_happens_half_the_time_each():
  image = jnp.asarray(RNG.uniform(0.3, 0.6, (4, 4, 3)), jnp.float32)
  operation = jax.vmap(lambda key: photometric.jitter_or_blur(key, image, contrast=0.0))
  found = np.asarray(operation(keys(2000))) / np.asarray(image)
  # Brightness multiplies all pixels alike; a blur does not.
  jittered = np.ptp(found.reshape(len(found), -1), axis=1) < 1e-4
  assert jittered.mean() == pytest.approx(0.5, abs=0.04)


def test_a_config_names_them():
  images = RNG.integers(0, 256, (3, 24, 12, 3), np.uint8)
  found = make_pipeline(["flip()", "jitter_or_blur(size=5)", "normalize()"])(
    jax.random.key(0), images
  )
  assert found.shape == images.shape and np.isfinite(found).all()
  with pytest.raises(UserError, match=r"sigma is \(3, 0\.1\); allowed: .*ascending"):
    make_pipeline(["gaussian_blur(sigma=(3, 0.1))"])
