"""Affinity inference: the published distances, a plain loop, and the published numbers of k."""

import pathlib

import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import INFRARED, VISIBLE, Records
from vireid_jax.evaluators import protocols, transductive
from vireid_jax.evaluators.affinity import Affinity, affinity_distance, published
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.evaluators.results import format_table
from vireid_jax.evaluators.suite import Suite

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "saai_losses.npz"


@pytest.fixture(scope="module")
def task():
  identity = np.tile(np.repeat(np.arange(1, 7), 3), 2)
  modality = np.repeat([VISIBLE, INFRARED], 18)
  names = [f"{row:03d}.png" for row in range(36)]
  records = Records(identity, np.where(modality == VISIBLE, 1, 3), modality, names)
  rng = np.random.default_rng(0)
  features = rng.normal(size=(7, 8))[identity] + rng.normal(size=(36, 8))
  return records, features


@pytest.mark.parametrize(("k1", "k2"), [(4, 1), (8, 2), (5, 3)])
def test_distances_of_the_authors_code(k1, k2):
  with np.load(GOLDEN) as golden:
    query, gallery = (golden[f"aim_{side}"].astype("f8") for side in ("query", "gallery"))
    want = golden[f"aim_{k1}_{k2}"]
  np.testing.assert_allclose(affinity_distance(query, gallery, k1=k1, k2=k2), want, rtol=1e-9)
  got = affinity_distance(query.astype("f4"), gallery.astype("f4"), k1=k1, k2=k2)
  assert got.dtype == np.float32
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def plain_loop(query, gallery, k1, k2):
  """Affinity inference image by image."""
  query, gallery = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery))

  def kept(row):
    few = np.zeros_like(row)
    for column in sorted(range(len(row)), key=lambda i: -row[i])[:k1]:
      few[column] = row[column]
    return few

  rows = [gallery @ x for x in gallery]
  near = [sorted(range(len(row)), key=lambda i: -row[i])[:k2] for row in rows]
  towards = [np.mean([kept(rows[i]) for i in few], axis=0) for few in near]
  found = np.zeros((len(query), len(gallery)))
  for i, x in enumerate(query):
    own = kept(gallery @ x)
    for j, other in enumerate(towards):
      cosine = own @ other / (np.linalg.norm(own) * np.linalg.norm(other))
      found[i, j] = -cosine - x @ gallery[j]
  return found


@pytest.mark.parametrize(("k1", "k2", "size"), [(3, 2, 9), (20, 6, 9), (1, 1, 1), (2, 5, 300)])
def test_distances_equal_a_plain_loop(k1, k2, size):
  rng = np.random.default_rng(size)
  query, gallery = rng.normal(size=(4, 5)), rng.normal(size=(size, 5))
  got = affinity_distance(query, gallery, k1=k1, k2=k2)
  np.testing.assert_allclose(got, plain_loop(query, gallery, k1, k2), atol=1e-12)


def test_published_numbers_of_each_protocol():
  def numbers(**conditions):
    return published({"protocol": "sysu_mm01", "mode": "all", **conditions})

  assert (numbers(shots=1), numbers(mode="indoor", shots=1)) == ((4, 1), (2, 2))
  assert (numbers(shots=10), numbers(mode="indoor", shots=10)) == ((20, 6), (20, 6))
  assert numbers(protocol="regdb") == published({}) == (8, 2)
  found = Affinity(k2=3).of_setting({"protocol": "sysu_mm01", "mode": "all", "shots": 1})
  assert found == Affinity(4, 3)
  assert Affinity().of_setting({"protocol": "regdb"}) == Affinity(8, 2, published=True)
  assert Affinity().of_setting({"protocol": "llcm"}) == Affinity(8, 2)  # nothing is published


def test_results_are_apart_and_marked(task):
  records, features = task
  suite = Suite(protocols.create("regdb"), rerank=Reranking(), affinity=Affinity())
  found = suite.evaluate({"neck": features}, records, {})
  name = "visible_to_infrared"
  assert [key for key in found if key.startswith(name)] == [
    name,
    f"{name}/rerank",
    f"{name}/affinity",
  ]
  marks = {key: result.conditions["transductive"] for key, result in found.items()}
  assert marks[name] is None and marks[f"{name}/rerank"] == "rerank"
  assert marks[f"{name}/affinity"] == "affinity"
  assert found[f"{name}/affinity"].conditions["affinity"] == {
    "k1": 8, "k2": 2, "published": True,
  }  # fmt: skip
  assert found[f"{name}/affinity"].conditions["rerank"] is None
  for text in (format_table(found, "T"), format_table(found, "T", verbose=True)):
    above, mark, below = text.partition(f"\ntransductive: {transductive.MEANING}\n")
    assert mark
    assert "/affinity" not in above and "/rerank" not in above
    assert below.count("/affinity") == below.count("/rerank") == 2
  assert not any("/affinity" in key for key in suite.quick().evaluate({"n": features}, records, {}))


@pytest.mark.parametrize("normalize", [True, False])
def test_a_protocol_ranks_by_the_distance(task, normalize):
  from plain_ranking import plain_ranking

  records, features = task
  protocol = protocols.create("regdb")
  found = protocol.evaluate(features, records, {}, normalize=normalize, rerank=Affinity(5, 2))
  query, gallery = features[:18], features[18:]
  distance = affinity_distance(query, gallery, k1=5, k2=2)
  want = plain_ranking(-distance, records.identity[:18], records.identity[18:])
  result = found["visible_to_infrared"]
  assert result.mean["mAP"] == pytest.approx(want["mAP"], abs=1e-9)
  assert result.conditions["normalize"] is True  # cosine similarities in any case


def test_records_without_the_mark_are_recognised():
  options = {"k1": 20, "k2": 6, "lambda_value": 0.3, "query_only": True}
  assert transductive.of({"rerank": options}) == "rerank"
  assert transductive.of({"rerank": None}) is None
  assert transductive.marked({"rerank": options})["transductive"] == "rerank"
  assert transductive.label({"rerank": options}) == (
    "transductive: re-ranked (k1 20, k2 6, lambda 0.3, among queries)"
  )
  assert transductive.label({"rerank": None}) == transductive.kind({}) == ""


def test_settings_with_published_numbers_share_a_label():
  def label(**options):
    return transductive.label({"transductive": "affinity", "affinity": options})

  assert label(k1=4, k2=1, published=True) == label(k1=2, k2=2, published=True)
  assert label(k1=4, k2=1, published=True) == (
    "transductive: affinity inference (published k1, k2)"
  )
  assert label(k1=4, k2=1, published=False) == "transductive: affinity inference (k1 4, k2 1)"


@pytest.mark.parametrize("options", [{"k1": -1}, {"k2": 1.5}, {"k1": True}])
def test_wrong_options(options):
  with pytest.raises(UserError, match="of the affinity inference holds"):
    Affinity(**options)
