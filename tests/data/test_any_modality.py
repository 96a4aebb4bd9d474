"""Batches drawn regardless of modality: groups, replay, augmentation, refusals."""

import jax
import numpy as np
import pytest

from vireid_jax import config as config_lib
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.config import checks
from vireid_jax.data.training import augment, sampler

COUNTS = {VISIBLE: [14, 6, 20, 3, 9], INFRARED: [2, 8, 12, 2, 9]}


def records():
  rows = [
    (10 * i + 7, modality)
    for modality, counts in COUNTS.items()
    for i, count in enumerate(counts)
    for _ in range(count)
  ]
  identity, modality = np.array(rows).T
  return Records(identity, np.ones(len(rows)), modality, [f"{n}.jpg" for n in range(len(rows))])


RECORDS = records()
INDEX = sampler.IdentityIndex(RECORDS)


def make(seed=0, num_identities=3, num_instances=3):
  sizes = {"num_identities": num_identities, "num_instances": num_instances}
  return sampler.create("any_modality", INDEX, seed=seed, **sizes)


def test_rows_show_the_identity_and_the_modality_that_are_told():
  for step in range(20):
    batch = make().batch(step)
    assert batch.label.shape == (9,) and batch.modality.shape == (9, 2)
    assert batch.modality.dtype == np.int32
    for place, rows in enumerate((batch.visible, batch.infrared)):
      np.testing.assert_array_equal(RECORDS.modality[rows], batch.modality[:, place])
      np.testing.assert_array_equal(RECORDS.identity[rows], 10 * batch.label + 7)


def test_modalities_come_as_the_images_of_an_identity_have_them():
  seen = [
    make(seed).batch(step) for seed in range(40) for step in range(make(seed).steps_per_epoch)
  ]
  for label in range(5):
    drawn = np.concatenate([batch.modality[batch.label == label].ravel() for batch in seen])
    infrared = COUNTS[INFRARED][label] / (COUNTS[INFRARED][label] + COUNTS[VISIBLE][label])
    np.testing.assert_allclose(drawn.mean(), infrared, atol=0.06)


def test_a_round_uses_no_image_twice_unless_an_identity_has_too_few():
  # Groups of six: 16, 14, 32, 5 and 18 images give 2, 2, 5, 1 and 3 groups; three to a batch.
  made = make()
  assert 3 <= made.steps_per_epoch <= 4
  batches = made._round((0, 0, 0))
  for label in range(5):
    used = [
      np.concatenate([first[list(labels).index(label)], second[list(labels).index(label)]])
      for first, second, labels in batches
      if label in labels
    ]
    used = np.concatenate(used) if used else np.empty(0)
    assert len(used) % 6 == 0
    if label != 3:
      assert len(set(used)) == len(used)


def test_a_step_can_be_replayed_and_depends_on_the_seed():
  forward = [make().batch(step) for step in range(9)]
  one = make()
  backward = [one.batch(step) for step in reversed(range(9))][::-1]
  for first, second in zip(forward, backward, strict=True):
    for field in ("visible", "infrared", "label", "modality"):
      np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
  assert make(1).batch(0).visible.tobytes() != forward[0].visible.tobytes()


OPERATIONS = {
  "visible": ("normalize(mean=(0, 0, 0), std=(0.5, 0.5, 0.5))",),
  "infrared": ("normalize(mean=(0, 0, 0), std=(0.25, 0.25, 0.25))",),
}


def test_each_image_is_augmented_as_its_own_modality_says():
  images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 2, 3)).astype(np.uint8)
  modality = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32)
  batch = {"visible": images[0], "infrared": images[1], "label": np.arange(4), "modality": modality}
  found = jax.jit(augment.make_augment(OPERATIONS))(jax.random.key(0), batch)
  assert set(found) == set(batch)
  np.testing.assert_array_equal(found["modality"], modality)
  for place, name in enumerate(("visible", "infrared")):
    factor = np.where(modality[:, place] == VISIBLE, 2, 4)[:, None, None, None]
    np.testing.assert_allclose(found[name], images[place] / 255 * factor, rtol=1e-6)


def test_pairs_are_augmented_as_before():
  images = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 6, 3)).astype(np.uint8)
  operations = {"visible": ("flip()",), "infrared": ("pad_crop(padding=1)",)}
  batch = {"visible": images[0], "infrared": images[1], "label": np.arange(4)}
  plain = augment.make_augment(operations)(jax.random.key(0), batch)
  told = {**batch, "modality": np.tile(np.int32([0, 1]), (4, 1))}
  for name, pixels in augment.make_augment(operations)(jax.random.key(0), told).items():
    if name != "modality":
      np.testing.assert_array_equal(pixels, plain[name])


def test_methods_that_need_pairs_refuse_the_sampler():
  config = config_lib.default_config("agw", "sysu_mm01")
  config.sampler.name = "any_modality"
  with pytest.raises(UserError, match=r"'any_modality' draws images regardless.*pairs or groups"):
    checks.validate(config)
  config = config_lib.default_config("mcja", "sysu_mm01")
  for name in sampler.SAMPLERS:
    config.sampler.name = name
    checks.validate(config)
