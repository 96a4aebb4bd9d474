"""Samplers: composition of batches, replay, epochs, and what they refuse."""

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.data.training import sampler


def records(visible_counts, infrared_counts):
  """Identity 10 i + 7 has the given numbers of images."""
  rows = [
    (10 * i + 7, modality)
    for modality, counts in ((VISIBLE, visible_counts), (INFRARED, infrared_counts))
    for i, count in enumerate(counts)
    for _ in range(count)
  ]
  identity, modality = np.array(rows).T
  names = [f"{n}.jpg" for n in range(len(rows))]
  return Records(identity, np.ones(len(rows)), modality, names)


RECORDS = records([6, 9, 4, 8, 5], [4, 9, 6, 2, 8])
INDEX = sampler.IdentityIndex(RECORDS)


def make(name, seed=0, num_identities=3, num_instances=2, index=INDEX):
  sizes = {"num_identities": num_identities, "num_instances": num_instances}
  return sampler.create(name, index, seed=seed, **sizes)


@pytest.mark.parametrize("name", ["pairs", "groups"])
class TestBoth:
  def test_pairs_share_identity_and_keep_modality(self, name):
    for step in range(20):
      batch = make(name).batch(step)
      assert batch.visible.shape == batch.infrared.shape == batch.label.shape == (6,)
      assert (RECORDS.modality[batch.visible] == VISIBLE).all()
      assert (RECORDS.modality[batch.infrared] == INFRARED).all()
      for rows in (batch.visible, batch.infrared):
        np.testing.assert_array_equal(RECORDS.identity[rows], 10 * batch.label + 7)
      np.testing.assert_array_equal(batch.label[::2], batch.label[1::2])
      assert len(set(batch.label)) == 3

  def test_a_step_can_be_replayed_in_any_order(self, name):
    first, second = make(name), make(name)
    forward = [first.batch(step) for step in range(12)]
    backward = [second.batch(step) for step in reversed(range(12))][::-1]
    for one, two in zip(forward, backward, strict=True):
      np.testing.assert_array_equal(one.visible, two.visible)
      np.testing.assert_array_equal(one.infrared, two.infrared)

  def test_seed_and_step_change_the_batch(self, name):
    batches = [make(name, seed).batch(step) for seed in (0, 1) for step in (0, 1)]
    assert len({batch.visible.tobytes() for batch in batches}) == 4

  def test_too_many_identities_are_refused(self, name):
    with pytest.raises(UserError, match=r"sampler.num_identities = 9.*have 5 identities"):
      make(name, num_identities=9)


def test_pair_epoch_covers_the_larger_modality_nominally():
  assert make("pairs").steps_per_epoch == 32 // 6 + 1
  assert make("pairs", num_identities=4).steps_per_epoch == 32 // 8 + 1  # a published loader's too


def test_pairs_draw_all_identities_and_images_alike():
  many = make("pairs", num_identities=2)
  counts = np.zeros(len(RECORDS))
  for step in range(2000):
    batch = many.batch(step)
    np.add.at(counts, np.concatenate([batch.visible, batch.infrared]), 1)
  for label, rows in enumerate(INDEX.rows[VISIBLE]):
    share = counts[rows] * len(rows) / (2000 * 2 * 2 / 5)
    np.testing.assert_allclose(share, 1, atol=0.35, err_msg=str(label))


def test_a_round_of_groups_uses_no_image_twice():
  groups = make("groups", num_identities=2)
  # Groups of two pairs per identity: 2, 4, 2, 1, 2 = 11, two of them a batch.
  assert 4 <= groups.steps_per_epoch <= 5
  batches = groups._round((0, 0, 0))
  for kind in (0, 1):
    used = np.concatenate([np.concatenate(batch[kind]) for batch in batches])
    assert len(used) == len(set(used.tolist()))


def test_group_epochs_have_equal_length_and_differ():
  groups = make("groups", seed=3, num_identities=2)
  length = groups.steps_per_epoch
  for epoch in range(30):
    assert len(groups._epoch(epoch)) == length
  assert groups.batch(0).visible.tobytes() != groups.batch(length).visible.tobytes()


def test_too_few_groups_are_refused():
  with pytest.raises(UserError, match="only 1 identities have 9 images in each modality"):
    make("groups", num_instances=9, num_identities=2)


def test_identity_in_one_modality_is_refused_by_number():
  with pytest.raises(UserError, match="1 training identities have no infrared image: 17"):
    sampler.IdentityIndex(records([2, 2, 2], [2, 0, 2]))


def test_labels_are_contiguous_and_the_mapping_is_kept():
  np.testing.assert_array_equal(INDEX.identities, [7, 17, 27, 37, 47])


def test_unknown_sampler_names_the_nearest():
  with pytest.raises(UserError, match="unknown sampler 'pair'; did you mean 'pairs'"):
    make("pair")


def test_one_identity_is_not_advised_to_make_a_batch():
  one = sampler.IdentityIndex(records([3], [3]))
  for name in sampler.SAMPLERS:
    with pytest.raises(UserError, match=r"1 identity; a batch needs at least 2.*data\.train"):
      sampler.create(name, one, seed=0, num_identities=4, num_instances=2)


@pytest.mark.parametrize("identities, images, advised", [(2, 9, 3), (3, 4, 2), (4, 3, 1)])
def test_the_advised_size_of_groups_is_accepted(identities, images, advised):
  index = sampler.IdentityIndex(records([3, 3, 2, 1], [9, 3, 5, 7]))
  with pytest.raises(UserError, match=f"sampler.num_instances to at most {advised}$"):
    sampler.create("groups", index, seed=0, num_identities=identities, num_instances=images)
  made = sampler.create("groups", index, seed=0, num_identities=identities, num_instances=advised)
  assert len(made.batch(0).label) == identities * advised


def test_distinct_pairs_use_no_image_twice_in_a_batch_and_draw_as_pairs_do():
  index = sampler.IdentityIndex(records([6, 9, 4, 8, 5], [4, 9, 6, 4, 8]))
  distinct = make("distinct_pairs", num_instances=4, index=index)
  assert distinct.steps_per_epoch == make("pairs", num_instances=4, index=index).steps_per_epoch
  seen = set()
  for step in range(60):
    batch = distinct.batch(step)
    for rows in (batch.visible, batch.infrared):
      assert len(set(rows)) == 12
      seen |= set(rows)
  assert seen == set(range(63))


def test_identities_with_too_few_distinct_images_are_named_with_two_ways_out():
  index = sampler.IdentityIndex(records([6, 3, 4, 8, 5], [4, 9, 2, 2, 8]))
  with pytest.raises(UserError) as error:
    make("distinct_pairs", num_instances=4, index=index)
  assert str(error.value) == (
    "sampler.name = 'distinct_pairs' draws 4 different images, but 3 training identities have "
    "fewer in one modality: 17, 27, 37; set --config.sampler.num_instances to at most 2, or "
    "--config.sampler.name=pairs, which may draw an image twice"
  )
  assert make("distinct_pairs", num_instances=2, index=index).batch(0).label.shape == (6,)
