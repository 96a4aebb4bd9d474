"""PedMix: what moves, what stays, to the bit; the controls by hand; any number of devices."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import mix_on_devices
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.methods.tmpa import region as region_lib
from vireid_jax.methods.tmpa.pedmix import STRATEGIES, PedMix

ROOT = pathlib.Path(__file__).parents[2]
SIZE = (48, 24)
# Boxes (top, bottom, left, right) of a tall and of a small pedestrian; bands of 6 and 4 rows.
TALL, SMALL = (6, 42, 3, 18), (12, 36, 8, 20)


def noise(pairs=4, seed=0):
  rng = np.random.default_rng(seed)
  return tuple(rng.integers(0, 256, (pairs, *SIZE, 3), np.uint8) for _ in range(2))


def boxes(pairs=4):
  """Regions of ones in the two boxes."""
  regions = np.zeros((2, pairs, *SIZE), np.float32)
  for region, (top, bottom, left, right) in zip(regions, (TALL, SMALL), strict=True):
    region[:, top:bottom, left:right] = 1
  return tuple(regions)


def ellipses():
  drawn = mix_on_devices.batch()
  masks = tuple(drawn[f"{name}_mask"] for name in ("visible", "infrared"))
  return tuple(map(region_lib.from_masks, masks))


def priors():
  prior = np.broadcast_to(region_lib.prior(*SIZE), (4, *SIZE))
  return prior, prior


def run(images, regions=None, key=0, **options):
  mix = PedMix(**{"probability": 1.0, **options})
  mixed = jax.jit(mix.__call__)(jax.random.key(key), images, regions)
  assert all(image.dtype == jnp.uint8 for image in mixed)
  return tuple(map(np.asarray, mixed))


@pytest.mark.parametrize("strategy", ["swap", "blend"])
@pytest.mark.parametrize("regions", [boxes, priors, ellipses])
def test_pixels_outside_the_region_stay_to_the_bit(strategy, regions):
  regions = regions()
  images = noise(len(regions[0]))
  mixed = run(images, regions, strategy=strategy, ratio=0.6)
  for old, new, region in zip(images, mixed, regions, strict=True):
    outside = np.asarray(region) == 0
    assert outside.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(new[outside], old[outside])
    assert (new != old).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("strategy", ["swap", "blend"])
def test_one_region_for_all_is_the_same_as_equal_regions(strategy):
  images, (tall, _) = noise(), boxes()
  one = run(images, tall[0], strategy=strategy)
  two = run(images, (tall, tall), strategy=strategy)
  for first, second in zip(one, two, strict=True):
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ratio_zero_changes_nothing(strategy):
  images = noise()
  for old, new in zip(images, run(images, boxes(), strategy=strategy, ratio=0.0), strict=True):
    np.testing.assert_array_equal(new, old)


def test_ratio_one_exchanges_everything():
  images = noise()
  for regions, options in ((None, {"strategy": "global"}), (None, {"strategy": "mixup"})):
    mixed = run(images, regions, ratio=1.0, **options)
    np.testing.assert_array_equal(mixed[0], images[1])
    np.testing.assert_array_equal(mixed[1], images[0])
  # Where the regions are equal nothing is resampled.
  mixed = run(images, priors(), strategy="swap", ratio=1.0)
  core = region_lib.prior(*SIZE) == 1
  np.testing.assert_array_equal(mixed[0][:, core], images[1][:, core])
  np.testing.assert_array_equal(mixed[1][:, core], images[0][:, core])


def banded(box, first_level):
  """A picture whose six bands within a box are plain, of levels 10 apart."""
  top, bottom, left, right = box
  image = np.full((*SIZE, 3), 7, np.uint8)
  levels = first_level + 10 * np.repeat(np.arange(6), (bottom - top) // 6)
  image[top:bottom, left:right] = levels[:, None, None]
  return image


def middles(box):
  """The rows of each band that no neighbouring band is interpolated into, and the columns."""
  top, bottom, left, right = box
  height = (bottom - top) // 6
  rows = [range(top + k * height + 1, top + (k + 1) * height - 1) for k in range(6)]
  return rows, slice(left, right)


@pytest.mark.parametrize("ratio, moved", [(0.5, 3), (1.0, 6), (0.1, 1), (0.9, 5)])
def test_band_lands_on_band(ratio, moved):
  images = np.stack([banded(TALL, 50)] * 16), np.stack([banded(SMALL, 150)] * 16)
  mixed = run(images, boxes(16), ratio=ratio)
  starts = set()
  for pair in zip(*mixed, strict=True):
    changed = []
    for image, box, own, other in zip(pair, (TALL, SMALL), (50, 150), (150, 50), strict=True):
      rows, columns = middles(box)
      levels = [np.unique(image[r, columns]).tolist() for r in rows]
      assert all(levels[k] in ([own + 10 * k], [other + 10 * k]) for k in range(6)), levels
      changed.append([k for k in range(6) if levels[k] == [other + 10 * k]])
    assert changed[0] == changed[1] == list(range(changed[0][0], changed[0][0] + moved))
    starts.add(changed[0][0])
  # Every place is drawn: 16 pairs, at most 6 of them.
  assert len(starts) == 7 - moved or moved == 1


def test_one_pair_is_mixed_in_both_images_or_in_neither():
  images = noise(64)
  mixed = run(images, boxes(64), probability=0.5)
  changed = [(new != old).any(axis=(1, 2, 3)) for new, old in zip(mixed, images, strict=True)]
  np.testing.assert_array_equal(*changed)
  assert 16 < changed[0].sum() < 48
  untouched = run(images, boxes(64), probability=0.0)
  np.testing.assert_array_equal(untouched[0], images[0])


def test_same_key_same_result_other_key_another():
  images = noise(8)
  first, again, other = (run(images, boxes(8), key=key) for key in (1, 1, 2))
  np.testing.assert_array_equal(first[0], again[0])
  np.testing.assert_array_equal(first[1], again[1])
  assert (first[0] != other[0]).any()


def silhouettes():
  """A slim and a wide person, leaning: outlines that no box brings together."""
  y, x = np.mgrid[: SIZE[0], : SIZE[1]]
  lean = (y - 24) / 6
  regions = [np.abs(x - 12 - lean) < 4, np.abs(x - 12 + lean) < 6]
  rows = (y >= 4) & (y < 44)
  return tuple((region & rows)[None].astype(np.float32) for region in regions)


def test_aligned_rows_fill_the_outline_with_one_person():
  images = tuple(np.full((1, *SIZE, 3), level, np.uint8) for level in (50, 200))
  regions = silhouettes()
  mixed = run(images, regions, ratio=1.0)
  filled = [
    (new == other[0, 0, 0, 0])[region == 1].mean()
    for new, other, region in zip(mixed, images[::-1], regions, strict=True)
  ]
  # The rest is interpolated at the outline.
  assert min(filled) > 0.9


def test_no_background_is_pasted_into_the_outline():
  regions = silhouettes()
  # Background 0, persons 100 and 200: what is 0 within a region came from beside the other person.
  images = tuple(
    (level * region[..., None]).repeat(3, -1).astype(np.uint8)
    for level, region in zip((100, 200), regions, strict=True)
  )
  mixed = run(images, regions, ratio=1.0)[0]
  inside = regions[0] == 1
  # An outline pixel that is the other person to a share s is 100 + s (200 s - 100), 87.5 at least.
  assert (mixed[inside] >= 87).all()


def test_controls_by_hand():
  images = np.full((4, *SIZE, 3), 40, np.uint8), np.full((4, *SIZE, 3), 240, np.uint8)
  mixed = run(images, strategy="mixup", ratio=0.3)
  assert np.unique(mixed[0]) == 100 and np.unique(mixed[1]) == 180
  mixed = run(images, boxes(), strategy="blend", ratio=0.3)
  assert np.unique(mixed[0][boxes()[0] == 1]) == 100
  mixed = run(images, strategy="cutmix", ratio=0.25)
  for one, other in zip(*mixed, strict=True):
    cut = one[..., 0] == 240
    np.testing.assert_array_equal(cut, other[..., 0] == 40)
    rows, columns = cut.any(1).sum(), cut.any(0).sum()
    assert cut.sum() == rows * columns
    # Half of each side, less what the border cuts off.
    assert 12 <= rows <= 25 and 6 <= columns <= 13
  images = noise()
  mixed = run(images, strategy="global", ratio=0.5)
  taken = (mixed[0] == images[1]).all(axis=(2, 3))
  np.testing.assert_array_equal(taken.sum(1), [24] * 4)


def test_empty_masks_leave_the_pair_alone():
  images, empty = noise(2), np.zeros((2, *SIZE), np.float32)
  for regions in ((empty, boxes(2)[1]), (empty, empty)):
    for old, new in zip(images, run(images, regions, ratio=1.0), strict=True):
      np.testing.assert_array_equal(new, old)


def test_prior_is_a_soft_box():
  prior = region_lib.prior(100, 100)
  rows, columns = np.flatnonzero(prior.any(1)), np.flatnonzero(prior.any(0))
  assert (rows[0], rows[-1], columns[0], columns[-1]) == (3, 96, 15, 84)
  assert prior[50, 50] == 1 and prior.max() == 1 and prior.min() == 0
  assert 0 < prior[50, 20] < 1
  np.testing.assert_allclose(prior, prior[::-1], atol=1e-6)
  np.testing.assert_allclose(prior, prior[:, ::-1], atol=1e-6)


def test_energy_is_cut_at_its_mean():
  energy = np.zeros((2, 3, 2), np.float32)
  energy[0, 1] = 9
  region = np.asarray(region_lib.from_energy(jnp.asarray(energy), 12, 6))
  assert region.shape == (2, 12, 6)
  rows = np.flatnonzero(region[0].all(1))
  # Bilinear slopes fall from row 5.5 to 1.5 and 9.5; a third of the top is left at 2.8 and 8.2.
  np.testing.assert_array_equal(rows, np.arange(3, 9))
  assert region[0].sum() == 6 * 6 and not region[1].any()
  top, bottom, left, right = region_lib.box(jnp.asarray(region[0]))
  assert (top, bottom, left, right) == (3, 9, 0, 6)


@pytest.mark.parametrize(
  "options, message",
  [
    ({"strategy": "cut"}, "unknown strategy 'cut'; did you mean 'cutmix'"),
    ({"region": "box"}, "unknown region 'box'"),
    ({"ratio": 1.5}, "ratio is 1.5; allowed: 0 to 1"),
    ({"probability": -1}, "probability is -1"),
    ({"bands": 0}, "bands is 0"),
  ],
)
def test_wrong_settings_are_explained(options, message):
  with pytest.raises(UserError, match=message):
    PedMix(**options)


def test_one_and_four_devices_mix_alike_and_labels_stay(tmp_path):
  found = []
  for devices in (1, 4):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    path = tmp_path / f"{devices}.npz"
    command = [sys.executable, mix_on_devices.__file__, str(path)]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)
    found.append(dict(np.load(path)))
    assert found[-1]["devices"] == devices
  given = mix_on_devices.batch()
  for name in ("visible", "infrared", "label"):
    np.testing.assert_array_equal(found[0][name], found[1][name])
  np.testing.assert_array_equal(found[0]["label"], given["label"])
  changed = (found[0]["visible"] != given["visible"]).any(axis=(1, 2, 3))
  assert 0 < changed.sum() < 8
