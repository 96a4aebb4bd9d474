"""Each augmentation against what it says, and the pipeline's keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.data.training import augment, operations

IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(12, 8, 3)), jnp.float32)
KEYS = jax.random.split(jax.random.key(0), 400)


def many(operation, **arguments):
  return np.asarray(jax.vmap(lambda key: operation(key, IMAGE, **arguments))(KEYS))


def test_pad_crop_shows_every_window_of_the_padded_image():
  padded = np.pad(np.asarray(IMAGE), ((2, 2), (2, 2), (0, 0)), constant_values=127 / 255)
  windows = {padded[i : i + 12, j : j + 8].tobytes(): (i, j) for i in range(5) for j in range(5)}
  seen = {windows[image.tobytes()] for image in many(operations.pad_crop, padding=2, fill=127)}
  assert seen == set(windows.values())


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_pad_crop_mirrors_the_border(dtype):
  image = (255 * np.asarray(IMAGE)).astype(dtype)
  padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
  windows = {padded[i : i + 12, j : j + 8].tobytes() for i in range(5) for j in range(5)}
  crop = jax.vmap(lambda key: operations.pad_crop(key, jnp.asarray(image), padding=2, mirror=True))
  assert {found.tobytes() for found in np.asarray(crop(KEYS))} == windows


def test_flip_mirrors_as_often_as_asked():
  flipped = np.array([np.array_equal(x, IMAGE[:, ::-1]) for x in many(operations.flip)])
  kept = np.array([np.array_equal(x, IMAGE) for x in many(operations.flip)])
  assert (flipped ^ kept).all()
  assert 0.4 < flipped.mean() < 0.6
  assert np.array_equal(many(operations.flip, probability=1.0)[0], IMAGE[:, ::-1])


def test_normalize_by_hand():
  expected = (np.asarray(IMAGE) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  np.testing.assert_allclose(operations.normalize(KEYS[0], IMAGE), expected, atol=1e-5)


def test_random_erasing_fills_one_rectangle_of_the_right_area():
  large = jnp.ones((96, 48, 3))
  erase = jax.jit(
    lambda key: operations.random_erasing(key, large, probability=1.0, area=(0.1, 0.2), value=-1.0)
  )
  for key in KEYS[:50]:
    hole = np.asarray(erase(key))[:, :, 0] == -1
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    assert hole.sum() == len(rows) * len(columns)
    assert rows[-1] - rows[0] + 1 == len(rows) and columns[-1] - columns[0] + 1 == len(columns)
    assert 0.09 < hole.mean() < 0.22
    assert 0.25 < len(rows) / len(columns) < 1 / 0.25


def test_random_erasing_happens_as_often_as_asked():
  erased = np.array([not np.array_equal(x, IMAGE) for x in many(operations.random_erasing)])
  assert 0.4 < erased.mean() < 0.6
  assert np.array_equal(many(operations.random_erasing, probability=0.0)[0], IMAGE)


def test_random_erasing_fills_each_channel_with_its_own_value():
  fill = (0.4914, 0.4822, 0.4465)
  erased = many(operations.random_erasing, probability=1.0, value=fill, attempts=100)
  changed = np.any(erased != IMAGE, axis=-1)
  assert changed.any(axis=(1, 2)).all()
  np.testing.assert_array_equal(np.unique(erased[changed], axis=0), np.float32([fill]))


def test_random_erasing_fills_with_noise():
  large = jnp.full((96, 48, 3), 9.0)
  options = {"probability": 1.0, "noise": True, "area": (0.1, 0.2)}
  erased = jax.vmap(lambda key: operations.random_erasing(key, large, **options))(KEYS[:50])
  noise = np.asarray(erased)[np.asarray(erased) != 9]
  assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
  assert len(np.unique(noise)) > 0.9 * len(noise)  # every pixel and channel has its own


def test_random_erasing_draws_the_aspect_or_its_logarithm_uniformly():
  """Half of the logarithms are negative; of uniform aspects in 0.3 to 1 / 0.3, 23 % are below 1."""
  large, ratios = jnp.ones((96, 96, 3)), {}
  for log_aspect in (False, True):
    options = {"probability": 1.0, "area": (0.1, 0.1), "value": -1.0, "log_aspect": log_aspect}
    erase = jax.jit(
      jax.vmap(lambda key, options=options: operations.random_erasing(key, large, **options))
    )
    holes = np.asarray(erase(KEYS))[..., 0] == -1
    ratios[log_aspect] = holes.any(2).sum(1) / holes.any(1).sum(1)
  assert 0.15 < np.mean(ratios[False] < 0.98) < 0.3
  assert 0.42 < np.mean(ratios[True] < 0.98) < 0.56
  assert all(0.28 < found.min() < found.max() < 3.6 for found in ratios.values())


def channel_of(image):
  """Which channel was replicated: 0, 1, 2, 'luma', or 'same'."""
  if np.array_equal(image, IMAGE):
    return "same"
  assert np.array_equal(image[..., 0], image[..., 1])
  assert np.array_equal(image[..., 0], image[..., 2])
  for channel in range(3):
    if np.array_equal(image[..., 0], IMAGE[..., channel]):
      return channel
  expected = np.asarray(IMAGE) @ [0.2989, 0.5870, 0.1140]
  np.testing.assert_allclose(image[..., 0], expected, atol=1e-5)
  return "luma"


def shares(images):
  found = [channel_of(image) for image in images]
  return {name: found.count(name) / len(found) for name in set(found)}


def test_channel_exchange_replicates_each_channel_equally_often():
  found = shares(many(operations.channel_exchange))
  assert set(found) == {0, 1, 2}
  assert all(0.25 < share < 0.42 for share in found.values())


def test_channel_exchange_has_the_luma_as_a_fourth_choice():
  found = shares(many(operations.channel_exchange, gray=True))
  assert set(found) == {0, 1, 2, "luma"}
  assert all(0.17 < share < 0.33 for share in found.values())


def test_channel_exchange_happens_as_often_as_asked():
  assert 0.25 < shares(many(operations.channel_exchange, probability=0.667))["same"] < 0.42
  found = shares(many(operations.channel_exchange, probability=0.5, gray=True))
  assert set(found) == {0, 1, 2, "luma", "same"}
  assert 0.4 < found["same"] < 0.6


def test_channel_adap_leaves_a_quarter_alone():
  found = shares(many(operations.channel_adap))
  assert set(found) == {0, 1, 2, "same"}
  assert all(0.17 < share < 0.33 for share in found.values())


def test_channel_adap_gray_splits_the_fourth_case():
  found = shares(many(operations.channel_adap_gray, probability=0.5))
  assert set(found) == {0, 1, 2, "same", "luma"}
  assert 0.07 < found["luma"] < 0.18
  assert set(shares(many(operations.channel_adap_gray, probability=1.0))) == {0, 1, 2, "luma"}


def test_luma_happens_as_often_as_asked():
  found = shares(many(operations.luma, probability=0.3))
  assert set(found) == {"same", "luma"}
  assert 0.22 < found["luma"] < 0.38
  assert shares(many(operations.luma)) == {"luma": 1.0}


def test_channel_replication_differs_before_and_after_normalising():
  key = KEYS[0]
  before = operations.normalize(key, operations.channel_exchange(key, IMAGE))
  after = operations.channel_exchange(key, operations.normalize(key, IMAGE))
  assert not np.allclose(before, after)


def test_pipeline_keeps_order_scales_and_gives_each_image_its_own_key():
  pipeline = augment.make_pipeline(("flip()", "normalize(mean=(0, 0, 0), std=(1, 1, 1))"))
  images = jnp.tile(jnp.arange(6, dtype=jnp.uint8).reshape(1, 1, 2, 3), (64, 1, 1, 1))
  result = pipeline(jax.random.key(1), images)
  np.testing.assert_array_equal(result, pipeline(jax.random.key(1), images))
  assert result.dtype == jnp.float32
  np.testing.assert_allclose(np.unique(result), np.arange(6) / 255, atol=1e-6)
  assert 10 < (np.asarray(result)[:, 0, 0, 0] > 0).sum() < 54


def test_a_second_view_shows_the_same_images_drawn_anew():
  one = {"visible": ("flip()",), "infrared": ("flip()",)}
  images = jnp.asarray(np.random.default_rng(3).integers(0, 256, (64, 4, 2, 3)), jnp.uint8)
  batch = {"visible": images, "infrared": images, "label": jnp.zeros(64, jnp.int32)}
  views = augment.make_augment({**one, "visible_2": ("flip()",)})(KEYS[0], batch)
  alone = augment.make_augment({**one, "visible_2": ()})(KEYS[0], batch)
  assert set(alone) == {"visible", "infrared", "label"}
  for name in alone:  # the other images do not notice
    np.testing.assert_array_equal(views[name], alone[name])
  straight = np.asarray(images, np.float32) / np.float32(255)

  def flipped(name):
    found = np.asarray(views[name])
    mirrored = np.array([np.allclose(a, b[:, ::-1]) for a, b in zip(found, straight, strict=True)])
    kept = np.array([np.allclose(a, b) for a, b in zip(found, straight, strict=True)])
    assert (mirrored ^ kept).all()
    return mirrored

  for name in ("visible", "infrared"):
    assert 16 < (flipped(name) != flipped("visible_2")).sum() < 48


def test_moving_bytes_or_floats_gives_the_same_image():
  raw = jnp.asarray(np.random.default_rng(2).integers(0, 256, (12, 8, 3)), jnp.uint8)
  moved = augment.make_pipeline(("pad_crop(padding=3, fill=127)", "flip()"))(KEYS[0], raw[None])
  key = jax.random.split(KEYS[0], 1)[0]
  expected = operations.pad_crop(jax.random.fold_in(key, 0), raw / 255, padding=3, fill=127)
  expected = operations.flip(jax.random.fold_in(key, 1), expected)
  np.testing.assert_allclose(moved[0], expected, atol=1e-6)


@pytest.mark.parametrize(
  "text, message",
  [
    ("flap()", "unknown augmentation 'flap'; did you mean 'flip'"),
    ("flip(chance=0.5)", "no argument 'chance'; allowed: probability"),
    ("flip(0.5)", "name the arguments"),
    ("flip(", "not of the form"),
    ("pad_crop(fill=open)", "not of the form"),
  ],
)
def test_wrong_operations_are_explained(text, message):
  with pytest.raises(UserError, match=message):
    augment.make_pipeline((text,))
