"""The four changes of a visible image's colours against what they say."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.data.training import augment, coordinator

IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(24, 12, 3)), jnp.float32)
PIXELS = np.asarray(IMAGE)
KEYS = jax.random.split(jax.random.key(0), 300)


def many(operation, image=IMAGE, **arguments):
  return np.asarray(jax.jit(jax.vmap(lambda key: operation(key, image, **arguments)))(KEYS))


def is_gray(images):
  return (images == images[..., :1]).all(axis=(1, 2, 3))


@pytest.mark.parametrize("name", [each.__name__ for each in coordinator.COORDINATED])
def test_probability_is_how_often_the_image_changes(name):
  operation = getattr(coordinator, name)
  kept = (many(operation, probability=0.3) == PIXELS).all(axis=(1, 2, 3)).mean()
  assert 0.6 < kept < 0.8


@pytest.mark.parametrize("turn", [-0.2, 0.07, 0.5])
def test_hue_is_turned_as_colorsys_does(turn):
  image = np.concatenate([PIXELS.reshape(-1, 3), [[0, 0, 0], [0.4] * 3, [1, 0, 0], [0, 1, 1]]])
  expected = []
  for pixel in image:
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    expected.append(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
  turned = jax.jit(coordinator._turn_hue)(jnp.asarray(image, jnp.float32)[None], turn)
  ours = turned[0]
  np.testing.assert_allclose(ours, expected, atol=2e-6)


def test_hue_stays_within_its_range_and_uses_all_of_it():
  red = jnp.asarray([[[1.0, 0, 0]]])
  hues = [colorsys.rgb_to_hsv(*image[0, 0])[0] for image in many(coordinator.hue_jitter, red)]
  hues = (np.array(hues) + 0.5) % 1 - 0.5
  assert -0.2 <= hues.min() < -0.17 and 0.17 < hues.max() <= 0.2


def test_weighted_gray_is_a_convex_sum_of_the_channels():
  found = many(coordinator.weighted_gray, probability=1.0)
  assert is_gray(found).all()
  weights, *_ = np.linalg.lstsq(
    PIXELS.reshape(-1, 3), found[..., 0].reshape(len(found), -1).T, rcond=None
  )
  assert weights.min() > -1e-4 and 0.3 < weights.mean() < 0.36
  np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-4)
  # Three uniform numbers over their sum are seldom above 0.9; single channels would be.
  assert np.mean(weights.max(axis=0) > 0.9) < 0.05


def boxes(as_published):
  """Returns for each image (channel around, channel inside, marked pixels)."""
  found = many(coordinator.channel_cutmix, probability=1.0, as_published=as_published)
  assert is_gray(found).all()
  equal = found[..., :1] == PIXELS  # [n, h, w, 3]
  for each in equal:
    shares = each.mean(axis=(0, 1))
    ground = int(shares.argmax())
    rest = ~each[..., ground]
    yield ground, each[rest].all(axis=0).nonzero()[0] if rest.any() else None, rest


def test_channel_cutmix_shows_a_second_channel_in_one_box():
  seen = set()
  for ground, patch, box in boxes(as_published=False):
    rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
    assert box.sum() == len(rows) * len(columns) and len(patch) == 1 and patch[0] != ground
    assert rows[-1] - rows[0] + 1 == len(rows)
    assert 0.01 < box.mean() < 0.37
    seen.add((ground, int(patch[0])))
  assert len(seen) == 6


def test_published_boxes_are_drawn_as_if_width_were_height():
  """In a tall image the box ends above row `width`, and may be beyond the right border."""
  found = [box for _, _, box in boxes(as_published=True)]
  assert not any(box[12:].any() for box in found)
  missing = np.mean([not box.any() for box in found])
  assert 0.2 < missing < 0.6
  assert any(box[:, -1].any() for box in found)


def test_spectrum_jitter_blends_with_one_channel():
  found = many(coordinator.spectrum_jitter, probability=1.0)
  shares = []
  for image in found:
    fits = []
    for channel in range(3):
      gray = PIXELS[..., channel : channel + 1]
      away = (PIXELS - gray)[..., [c for c in range(3) if c != channel]]
      got = (image - gray)[..., [c for c in range(3) if c != channel]]
      share = (away * got).sum() / (away * away).sum()
      fits.append((np.abs(image - (gray + share * (PIXELS - gray))).max(), share))
    error, share = min(fits)
    assert error < 1e-5
    shares.append(share)
  assert min(shares) > -1e-3 and max(shares) < 1.001 and 0.4 < np.mean(shares) < 0.6


def test_the_coordinator_makes_each_change_one_time_in_four():
  found = many(coordinator.modality_coordinator, probability=1.0)
  gray = is_gray(found)
  # Grey: the weighted mean and the box. Of these, only in the box image are pixels a channel's own.
  own = (np.abs(found[..., :1] - PIXELS) < 1e-7).any(axis=-1).mean(axis=(1, 2)) > 0.9
  value_kept = np.abs(found.max(axis=-1) - PIXELS.max(axis=-1)).max(axis=(1, 2)) < 1e-5
  counts = [gray & own, gray & ~own, ~gray & value_kept, ~gray & ~value_kept]
  assert all(0.17 < count.mean() < 0.33 for count in counts)
  assert found.min() >= -1e-6 and found.max() <= 1 + 1e-6


def test_it_runs_in_a_pipeline_on_bytes():
  images = jnp.asarray(np.random.default_rng(1).integers(0, 256, (64, 12, 8, 3)), jnp.uint8)
  operations = ("modality_coordinator()", "flip()", "pad_crop(padding=2, fill=127)")
  result = jax.jit(augment.make_pipeline(operations))(jax.random.key(0), images)
  assert result.shape == images.shape and result.dtype == jnp.float32
  # One in two is changed, and one change in two is to grey.
  assert 8 < sum(np.ptp(np.asarray(image), axis=-1).max() < 1e-6 for image in result) < 25
