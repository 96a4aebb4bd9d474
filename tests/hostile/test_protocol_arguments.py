"""Protocols with odd arguments on odd test sets: right numbers or one error, never a traceback."""

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import Records
from vireid_jax.evaluators import chance, protocols, reranking, suite, verification
from vireid_jax.evaluators.embed import Embedder, feature_methods
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.results import SAME_GALLERY, format_table
from vireid_jax.speed import reranking as reranking_lib

ODD = [
  *(None, True, False, 0, -1, 2, 2.5, float("nan"), float("inf"), 10**30, "", "x", "all", b"x"),
  *((), ("all",), ("all", "all"), (1,), (1, 1), [0], {"a": 1}, (None,), ((3, 2),), "shared"),
  *("official", ("visible_to_infrared", 3), "infrared_to_visible", np.int64(3), np.array([1, 2])),
]
ARGUMENTS = {
  "sysu_mm01": ("modes", "shots", "trials", "galleries"),
  "regdb": ("directions",),
  "llcm": ("directions", "trials"),
  "cross_modality": ("directions", "shots", "trials", "exclude_same_camera"),
  "mixed": ("directions", "shots", "trials", "same_place"),
}


def constructed(identity, camera, modality):
  folders = [f"cam{c}/{i:04d}" for c, i in zip(camera, identity, strict=True)]
  names = [f"{folder}/{number:04d}.jpg" for number, folder in enumerate(folders, 1)]
  return Records(identity, camera, modality, names)


PEOPLE = constructed([1, 1, 1, 2, 2, 2], [1, 3, 4, 1, 3, 6], [0, 1, 0, 0, 1, 1])
FEATURES = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def evaluate_or_refuse(protocol, records, features, *, rerank=None, mixed=False):
  """Runs everything that an evaluation does; returns its results, or None where it is refused."""
  try:
    whole = suite.Suite(protocol, rerank=rerank, mixed=mixed)
    found = whole.evaluate({"feature": features}, records, {})
    verification.evaluate(features, records)
    chance.notice(found, protocol.comparisons(records, {}), records)
  except UserError:
    return None
  assert format_table(found, "a title")
  for result in found.values():
    for rates in (*result.trials, result.mean):
      assert all(0 <= rate <= 1 for rate in rates.values()), result
  return found


@pytest.mark.parametrize("name", ARGUMENTS)
def test_odd_arguments_work_or_are_refused(name):
  assert evaluate_or_refuse(protocols.create(name), PEOPLE, FEATURES)
  for argument in ARGUMENTS[name]:
    for value in ODD:
      try:
        protocol = protocols.create(name, **{argument: value})
      except UserError as error:
        assert argument in str(error), (argument, value)
        continue
      evaluate_or_refuse(protocol, PEOPLE, FEATURES)


@pytest.mark.parametrize("argument", ["k1", "k2", "lambda_value", "query_only"])
def test_odd_options_of_the_reranking_work_or_are_refused(argument):
  accepted = 0
  for value in ODD:
    try:
      options = Reranking(**{argument: value})
    except UserError as error:
      assert argument in str(error)
      continue
    accepted += 1
    assert evaluate_or_refuse(protocols.create("regdb"), PEOPLE, FEATURES, rerank=options)
  assert accepted >= 1


@pytest.mark.parametrize("name", [None, 3, ("regdb",), "regdb ", np.array([1, 2])])
def test_a_protocol_is_found_by_its_name_alone(name):
  with pytest.raises(UserError, match="unknown evaluation protocol"):
    protocols.create(name)


def draw(seed):
  """Draws up to 8 test images, often of one modality, without matches or with equal features."""
  generator = np.random.default_rng(seed)
  count = int(generator.integers(1, 9))
  identity, modality = generator.integers(1, 4, count), generator.integers(0, 2, count)
  if generator.random() < 0.2:
    modality[:] = modality[0]
  own = np.where(modality == 1, generator.choice([3, 6], count), generator.choice([1, 4], count))
  camera = own if generator.random() < 0.8 else generator.integers(1, 9, count)
  features = generator.normal(size=(count, 3)).astype(np.float32)
  if generator.random() < 0.2:
    features[:] = 1
  if generator.random() < 0.05:
    features[0] = np.nan
  options = Reranking(
    k1=int(generator.integers(1, 30)),
    k2=int(generator.integers(1, 30)),
    lambda_value=float(generator.random()),
    query_only=bool(generator.integers(0, 2)),
  )
  return constructed(identity, camera, modality), features, options


@pytest.mark.parametrize("name", ARGUMENTS)
def test_tiny_test_sets_work_or_are_refused(name):
  found = 0
  for seed in range(60):
    records, features, options = draw(seed)
    options = options if name != "mixed" and seed % 2 else None
    settings = {"shots": seed % 3} if name == "cross_modality" else {}
    protocol = protocols.create(name, **settings)
    mixed = name != "mixed" and seed % 3 == 0
    found += bool(evaluate_or_refuse(protocol, records, features, rerank=options, mixed=mixed))
  assert found > 12


def test_a_setting_without_a_gallery_leaves_the_others():
  """No visible indoor camera: 'indoor' is not run, re-ranked or not."""
  records = constructed([1, 1, 2, 2], [3, 4, 6, 5], [1, 0, 1, 0])
  found = protocols.create("sysu_mm01", shots=1, galleries="random_choice").evaluate(
    FEATURES[:4], records, {}, rerank=Reranking()
  )
  assert len(found["all/1-shot/random_choice"].trials) == 10
  reason = found["indoor/1-shot/random_choice"].not_run
  assert reason == "the test split has no image for the gallery"


@pytest.mark.parametrize("seed", range(12))
def test_reranking_of_fewer_images_than_neighbours_is_the_plain_restatement_s(seed):
  generator = np.random.default_rng(seed)
  sides = [generator.normal(size=(int(generator.integers(1, 6)), 3)) for _ in range(2)]
  query, gallery = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
  k1, k2 = (int(number) for number in generator.integers(1, 40, 2))
  found = reranking.k_reciprocal_distance(query, gallery, k1=k1, k2=k2)
  plain = reranking_lib.rerank_plainly(query, gallery, k1, k2)
  np.testing.assert_allclose(found, plain, atol=1e-12)


def spreads(found):
  """Returns by setting whether its row of the table shows a deviation."""
  lines = {
    line.split(" ", 1)[0]: line
    for line in format_table(found, "a title", verbose=True).splitlines()
  }
  return {setting: "±" in lines[setting] for setting in found}


def test_a_gallery_of_all_images_has_no_spread_and_says_so():
  """Two pictures in each folder: one shot is a choice, and ten shots are all of them."""
  columns = (PEOPLE.identity, PEOPLE.camera, PEOPLE.modality)
  records = constructed(*(np.tile(column, 2) for column in columns))
  features = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
  options = {"modes": "all", "galleries": "random_choice"}
  found = protocols.create("sysu_mm01", **options).evaluate(features, records, {})
  one, ten = "all/1-shot/random_choice", "all/10-shot/random_choice"
  assert spreads(found) == {one: True, ten: False}
  table = format_table(found, "a title", verbose=True)
  assert f"{ten}: {SAME_GALLERY}" in table and f"{one}: {SAME_GALLERY}" not in table
  assert found[ten].same_gallery and len(found[ten].trials) == 10
  kept = type(found[ten]).from_json(found[ten].to_json())
  assert kept == found[ten]
  old = {key: value for key, value in kept.to_json().items() if key != "same_gallery"}
  assert not type(kept).from_json(old).same_gallery


@pytest.mark.parametrize("name, options", [
  ("llcm", {}),
  ("cross_modality", {"shots": 5}),
  ("mixed", {}),
])  # fmt: skip
def test_draws_from_folders_of_one_image_are_all_the_same(name, options):
  records = constructed([1, 1, 2, 2], [1, 2, 3, 4], [0, 1, 0, 1])
  found = protocols.create(name, **options).evaluate(FEATURES[:4], records, {})
  assert not any(spreads(found).values())
  assert SAME_GALLERY in format_table(found, "a title", verbose=True)


def test_one_trial_has_no_spread_and_nothing_is_said_of_it():
  found = protocols.create("regdb").evaluate(FEATURES, PEOPLE, {})
  assert not any(spreads(found).values()) and SAME_GALLERY not in format_table(
    found, "a title", verbose=True
  )


def test_several_corrupted_copies_have_a_spread_of_their_own():
  records = constructed([1, 1, 2, 2], [1, 2, 3, 4], [0, 1, 0, 1])
  draws = [protocols.create("llcm").evaluate(FEATURES[n : n + 4], records, {}) for n in range(2)]
  joined = suite.join_draws(draws, {"draws": 2})
  assert not any(result.same_gallery for result in joined.values())
  assert all(suite.join_draws(draws[:1], {})[f"{name}/corrupted"].same_gallery for name in draws[0])


def test_chance_is_the_mean_over_random_orders():
  """Two right among five, one of them left out for the first query."""
  records = constructed([1, 2, 1, 1, 2, 3, 2], [3, 3, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0, 0])
  protocol = protocols.create("regdb", directions="infrared_to_visible")
  (comparison,) = protocol.comparisons(records, {}).values()
  generator, found, first = np.random.default_rng(0), [], []
  for _ in range(1500):
    scores = comparison.scores(generator.random((2, 5)), records)
    found.append(scores.average_precision.mean())
    first.append((scores.first_match == 0).mean())
  assert chance.rates(comparison, records)["rank-1"] == pytest.approx(np.mean(first), abs=0.03)
  assert chance.expected(comparison, records) == pytest.approx(np.mean(found), abs=0.015)


def test_chance_is_noticed_and_learning_is_not():
  generator = np.random.default_rng(0)
  identity = np.repeat(np.arange(40), 4)
  records = constructed(identity, np.ones_like(identity), np.tile([0, 0, 1, 1], 40))
  protocol = protocols.create("regdb")
  comparisons = protocol.comparisons(records, {})
  noise = generator.normal(size=(160, 8)).astype(np.float32)
  learned = noise + 2 * generator.normal(size=(40, 8)).astype(np.float32)[identity]
  found = protocol.evaluate(noise, records, {})
  text = chance.notice(found, comparisons, records)
  assert text.startswith("the evaluation is at chance level: mAP ")
  assert "visible_to_infrared, where a random order of the gallery gives 7.39" in text
  assert chance.notice(protocol.evaluate(learned, records, {}), comparisons, records) is None


@pytest.mark.parametrize("batch", [0, -4, True, 2.5, None])
def test_a_batch_that_embeds_nothing_is_refused(batch):
  mesh = type("Mesh", (), {"size": 1})()
  with pytest.raises(UserError, match="whole number from 1"):
    Embedder({}, mesh, size=(8, 4), resize="lanczos", operations={}, batch=batch)


def test_a_feature_is_named_once():
  method = type("Method", (), {"feature": "after_neck"})()
  assert list(feature_methods(method, ())) == ["after_neck"]
  with pytest.raises(UserError, match="names a feature twice"):
    feature_methods(method, ("after_neck", "after_neck"))
