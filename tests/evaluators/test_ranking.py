"""Tests of the ranking metrics against hand-made lists and a plain restatement."""

import numpy as np
import pytest
from plain_ranking import assert_same, plain_ranking

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators import ranking
from vireid_jax.evaluators.ranking import evaluate_ranking


def random_case(seed):
  """Returns (similarity, query ids, gallery ids, exclude), with ties in most cases."""
  rng = np.random.default_rng(seed)
  queries, images = rng.integers(1, 9), rng.integers(1, 25)
  identities = rng.integers(1, 6)
  shape = (queries, images)
  levels = rng.choice([2, 4, 50])
  similarity = (rng.integers(-levels, levels + 1, shape) / 8).astype(
    rng.choice([np.float32, np.float64])
  )
  if rng.random() < 0.3:
    similarity = rng.normal(size=shape)
  exclude = rng.random(shape) < rng.choice([0.0, 0.3, 0.8]) if rng.random() < 0.7 else None
  return similarity, rng.integers(0, 6, queries), rng.integers(0, identities, images), exclude


@pytest.mark.parametrize("unique_identities", [False, True])
def test_equals_plain_restatement_on_random_cases(unique_identities):
  with_match = 0
  for seed in range(300):
    similarity, query_ids, gallery_ids, exclude = random_case(seed)
    got = evaluate_ranking(
      similarity, query_ids, gallery_ids, exclude=exclude, unique_identities=unique_identities
    )
    assert_same(got, plain_ranking(similarity, query_ids, gallery_ids, exclude, unique_identities))
    with_match += got["valid_queries"]
  assert with_match > 500


def test_hand_made_list():
  # Ranked identities: 7 5 7 5 9 7 (matches of 5 at ranks 2 and 4; first of 5 is identity number 2).
  got = evaluate_ranking(
    np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]]), [5], [7, 5, 7, 5, 9, 7], max_rank=3
  )
  assert got["cmc"].tolist() == [0, 1, 1]
  assert got["mAP"] == pytest.approx((1 / 2 + 2 / 4) / 2)
  assert got["mINP"] == pytest.approx(2 / 4)
  assert got["valid_queries"] == 1


def test_unique_identities_count_each_identity_once():
  similarity = np.array([[0.9, 0.8, 0.7, 0.6]])
  plain = evaluate_ranking(similarity, [5], [7, 7, 7, 5], max_rank=4)
  unique = evaluate_ranking(similarity, [5], [7, 7, 7, 5], unique_identities=True, max_rank=4)
  assert plain["cmc"].tolist() == [0, 0, 0, 1]
  assert unique["cmc"].tolist() == [0, 1, 1, 1]
  assert unique["mAP"] == plain["mAP"] == 0.25


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_all_equal_similarities_rank_by_gallery_index(value):
  gallery_ids = [3, 1, 2, 1, 3, 2]
  got = evaluate_ranking(np.full((3, 6), value, np.float32), [1, 2, 3], gallery_ids, max_rank=3)
  assert got["cmc"] == pytest.approx([1 / 3, 2 / 3, 1])
  precisions = [(1 / 2 + 2 / 4) / 2, (1 / 3 + 2 / 6) / 2, (1 / 1 + 2 / 5) / 2]
  assert got["mAP"] == pytest.approx(np.mean(precisions))
  unique = evaluate_ranking(
    np.full((3, 6), value), [1, 2, 3], gallery_ids, unique_identities=True, max_rank=3
  )
  assert unique["cmc"] == pytest.approx([1 / 3, 2 / 3, 1])


def test_negative_zero_ties_with_zero():
  got = evaluate_ranking(np.array([[-0.0, 0.0]]), [1], [1, 2], max_rank=2)
  assert got["cmc"].tolist() == [1, 1]


def test_query_without_match_is_not_counted():
  similarity = np.array([[0.9, 0.1], [0.9, 0.1]])
  got = evaluate_ranking(similarity, [1, 4], [1, 2])
  assert got["valid_queries"] == 1
  assert got["cmc"][0] == got["mAP"] == got["mINP"] == 1


def test_query_whose_whole_gallery_is_excluded():
  exclude = np.array([[True, True], [False, False]])
  got = evaluate_ranking(np.array([[0.9, 0.1], [0.9, 0.1]]), [1, 2], [1, 2], exclude=exclude)
  assert got["valid_queries"] == 1
  assert got["mAP"] == 0.5


@pytest.mark.parametrize("gallery_ids", [[], [8, 9]])
def test_no_valid_query_gives_zeros(gallery_ids):
  got = evaluate_ranking(np.zeros((2, len(gallery_ids))), [1, 2], gallery_ids, max_rank=5)
  assert got["valid_queries"] == 0
  assert got["cmc"].tolist() == [0] * 5
  assert got["mAP"] == got["mINP"] == 0


def test_no_queries():
  assert evaluate_ranking(np.zeros((0, 3)), [], [1, 2, 3])["valid_queries"] == 0


def test_cmc_saturates_past_the_gallery():
  got = evaluate_ranking(np.array([[0.1, 0.9]]), [1], [1, 2], unique_identities=True, max_rank=50)
  assert got["cmc"].shape == (50,)
  assert got["cmc"].tolist() == [0] + [1] * 49


def test_blocks_give_the_same_as_one_block():
  rng = np.random.default_rng(1)
  similarity = rng.integers(0, 30, (101, 60)).astype(np.float32)
  query_ids, gallery_ids = rng.integers(0, 9, 101), rng.integers(0, 9, 60)
  exclude = rng.random((101, 60)) < 0.2
  one, many = (
    ranking.score_queries(
      similarity, query_ids, gallery_ids, exclude=exclude, unique_identities=True, block_size=size
    )
    for size in (1000, 7)
  )
  for name in ("first_match", "average_precision", "inverse_negative_penalty"):
    np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


def test_columns_choose_the_gallery():
  rng = np.random.default_rng(2)
  similarity = rng.normal(size=(9, 40)).astype(np.float32)
  columns, query_ids = rng.permutation(40)[:15], rng.integers(0, 4, 9)
  gallery_ids = rng.integers(0, 4, 15)
  got = ranking.score_queries(similarity, query_ids, gallery_ids, columns=columns).summary()
  assert_same(got, plain_ranking(similarity[:, columns], query_ids, gallery_ids))


@pytest.mark.parametrize("dtype", [np.int32, np.float16])
def test_other_number_types_are_ranked_exactly(dtype):
  similarity = np.array([[2**24 + 1, 2**24]]) if dtype == np.int32 else np.array([[0.5, 0.25]])
  got = evaluate_ranking(similarity.astype(dtype), [2], [1, 2], max_rank=2)
  assert got["cmc"].tolist() == [0, 1]


def test_accepts_jax_arrays():
  jnp = pytest.importorskip("jax.numpy")
  got = evaluate_ranking(jnp.array([[0.1, 0.9]]), jnp.array([2]), jnp.array([1, 2]))
  assert got["mAP"] == 1


def test_nan_is_refused_unless_excluded():
  similarity = np.array([[0.5, 0.2], [np.nan, 0.2]])
  with pytest.raises(UserError, match=r"query 1 .*NaN"):
    evaluate_ranking(similarity, [1, 2], [1, 2])
  exclude = np.array([[False, False], [True, False]])
  assert evaluate_ranking(similarity, [1, 2], [1, 2], exclude=exclude)["mAP"] == 1


@pytest.mark.parametrize(
  ("shape", "queries", "gallery", "exclude", "message"),
  [
    ((2, 3), 1, 3, None, "1 query identities"),
    ((2, 3), 2, 4, None, "4 gallery identities"),
    ((2, 3), 2, 2, None, "2 gallery identities"),
    ((3,), 3, 3, None, r"shape \(3,\)"),
    ((2, 3), 2, 3, (3, 2), r"exclude has shape \(3, 2\)"),
  ],
)
def test_shapes_that_do_not_fit(shape, queries, gallery, exclude, message):
  exclude = None if exclude is None else np.zeros(exclude, bool)
  with pytest.raises(UserError, match=message):
    evaluate_ranking(np.zeros(shape), np.zeros(queries), np.zeros(gallery), exclude=exclude)


def test_max_rank_below_one():
  with pytest.raises(UserError, match="max_rank is 0"):
    evaluate_ranking(np.zeros((1, 1)), [1], [1], max_rank=0)
