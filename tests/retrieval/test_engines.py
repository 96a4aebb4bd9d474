"""Search beyond memory: features on disk, and faiss against the exact engine."""

import builtins

import numpy as np
import pytest
import trained_models

from vireid_jax import benchmark, embed, search
from vireid_jax.common.errors import UserError
from vireid_jax.retrieval import faiss_index, streamed
from vireid_jax.retrieval.engine_names import KINDS
from vireid_jax.retrieval.searcher import Labels, Searcher
from vireid_jax.retrieval.streamed import StreamedSearcher

SIZE = 32


def features(count, seed=0):
  """Features of people with ten pictures each."""
  random = np.random.default_rng(seed)
  people = np.random.default_rng(9).normal(size=(count // 10 + 1, SIZE))
  drawn = people[np.arange(count) // 10] + 0.5 * random.normal(size=(count, SIZE))
  return drawn.astype(np.float32)


def labels(count):
  return [Labels(np.arange(6) % 3, np.arange(count) % 4 - 1)]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("top", [1, 7, 400])
def test_features_on_disk_give_the_lists_of_those_in_memory(tmp_path, monkeypatch, normalize, top):
  monkeypatch.setattr(streamed, "ROWS_AT_ONCE", 50)
  gallery, queries = features(330), features(6, seed=1)
  gallery.tofile(tmp_path / "features")
  mapped = np.memmap(tmp_path / "features", np.float32, "r", shape=gallery.shape)
  for options in ({}, {"exclude": labels(330), "min_similarity": -0.5 if normalize else -30}):
    expected = Searcher(gallery, normalize=normalize)(queries, top=top, **options)
    found = StreamedSearcher(mapped, normalize=normalize)(queries, top=top, **options)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.similarity, expected.similarity, rtol=1e-5, atol=1e-5)


def test_of_equal_features_on_disk_the_earlier_comes_first(monkeypatch):
  monkeypatch.setattr(streamed, "ROWS_AT_ONCE", 2)
  gallery = np.tile(features(1), (5, 1))
  assert StreamedSearcher(gallery)(gallery[0], top=3).rows.tolist() == [[0, 1, 2]]
  gallery[4, 0] = np.inf
  with pytest.raises(UserError, match=r"gallery \(from row 4\) features hold NaN"):
    StreamedSearcher(gallery)(gallery[0])


@pytest.mark.parametrize("kind", KINDS)
def test_faiss_finds_what_the_exact_engine_finds(tmp_path, kind):
  pytest.importorskip("faiss")
  from vireid_jax.retrieval.faiss_searcher import FaissSearcher

  gallery, queries = features(1200), features(6, seed=1)
  built = faiss_index.build(gallery, kind, normalize=True)
  faiss_index.save(built, tmp_path / "index")
  found = FaissSearcher(gallery, faiss_index.load(tmp_path / "index", kind))
  for options in ({}, {"exclude": labels(1200), "min_similarity": 0.3}):
    exact = Searcher(gallery)(queries, top=10, **options)
    ranking = found(queries, top=10, **options)
    assert np.mean(ranking.rows == exact.rows) > 0.9  # 1.0 when it was written
    same = (ranking.rows == exact.rows) & (exact.rows >= 0)
    np.testing.assert_allclose(ranking.similarity[same], exact.similarity[same], atol=1e-6)


def test_the_kind_follows_the_size():
  sizes = (1000, 1_000_000, 10_000_000, 100_000_000)
  assert [faiss_index.kind_for(size) for size in sizes] == list(KINDS)
  assert faiss_index.description("ivfpq", 1_000_000, 2048) == "PCAR256,IVF2048,PQ64np"
  assert faiss_index.description("hnsw", 500, 20) == "RR20,HNSW32_SQ8"
  with pytest.raises(UserError, match="needs at least 256 pictures, and the gallery has 9"):
    faiss_index.description("ivfpq", 9, 20)


def test_without_faiss_the_error_says_how_to_install_it(monkeypatch):
  real = builtins.__import__

  def missing(name, *arguments, **options):
    if name == "faiss":
      raise ModuleNotFoundError("no", name="faiss")
    return real(name, *arguments, **options)

  monkeypatch.setattr(builtins, "__import__", missing)
  with pytest.raises(UserError, match=r"pip install 'vireid_jax\[faiss\]'"):
    faiss_index.library()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  """A checkpoint, a gallery and its file of features, and queries."""
  root = tmp_path_factory.mktemp("site")
  trained_models.save(root / "run", "toys.linear")
  trained_models.pictures(root / "gate", 30)
  trained_models.pictures(root / "night", 3, seed=2)
  words = ["--images", str(root / "gate"), "--modality", "visible", "--out", str(root / "gate.npz")]
  assert embed.main(["--checkpoint", str(root / "run"), *words]) == 0
  return root


@pytest.fixture
def run(site, tmp_path, monkeypatch, capsys):
  """Searches in an empty folder; returns (code, output, errors)."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.chdir(tmp_path)

  def call(*options, gallery="gate", checkpoint="run"):
    words = ["--checkpoint", str(site / checkpoint), "--gallery", str(site / gallery)]
    words += ["--query", str(site / "night"), "--query_modality", "infrared", "--out", ""]
    return search.main([*words, "--format", "csv", *options]), *capsys.readouterr()

  return call


def test_a_file_of_features_is_a_gallery(run, site, tmp_path):
  folder = run()
  code, said, errors = run(gallery="gate.npz")
  assert code == 0 and said == folder[1] and "30 pictures of" in errors
  code, _, errors = run("--gallery_modality", "infrared", gallery="gate.npz")
  assert code == 1 and "holds visible pictures; give --gallery_modality visible" in errors
  trained_models.save(tmp_path / "other", "toys.linear", seed=1)
  code, _, errors = run(gallery="gate.npz", checkpoint=tmp_path / "other")
  assert code == 1 and "of another checkpoint" in errors
  (tmp_path / "torn.npz").write_bytes((site / "gate.npz").read_bytes()[:200])
  code, _, errors = run(gallery=tmp_path / "torn.npz")
  assert code == 1 and "is not a complete file of features" in errors


def test_searches_with_faiss_keep_the_index(run, site, tmp_path):
  pytest.importorskip("faiss")
  exact = run()[1]
  for kind in ("flat", "hnsw"):
    code, said, errors = run("--engine", "faiss", "--faiss", kind)
    assert code == 0 and said == exact and f"faiss: {kind}, built in" in errors
  kept = tmp_path / "cache" / "vireid_jax" / "index"
  (first,) = kept.glob("*.index.faiss")
  assert "faiss: hnsw; index" in run("--engine=faiss", "--faiss=hnsw")[2]
  first.write_bytes(b"damaged")
  assert "faiss: hnsw, built in" in run("--engine=faiss", "--faiss=hnsw")[2]
  trained_models.pictures(site / "gate" / "new", 1, seed=5)
  assert "faiss: hnsw, built in" in run("--engine=faiss", "--faiss=hnsw")[2]
  (second,) = kept.glob("*.index.faiss")
  assert second != first and run("--engine=faiss")[1].count("\n") == 31


def test_a_kind_without_the_engine_is_refused(run):
  code, _, errors = run("--faiss", "hnsw")
  assert code == 1 and "--faiss hnsw is not used; add --engine faiss" in errors


def test_the_benchmark_measures_every_engine(tmp_path, capsys):
  pytest.importorskip("faiss")
  words = ["search", "--pictures", "600", "300", "--dimension", "32", "--queries", "8"]
  words += ["--repeats", "1", "--folder", str(tmp_path)]
  numbers = benchmark.main(words)
  rows = [(row["pictures"], row["engine"]) for row in numbers["rows"]]
  assert rows == [(size, name) for size in (300, 600) for name in ("exact", *KINDS)]
  for row in numbers["rows"]:
    assert row["recall_1"] > 0.8 and row["recall_10"] > 0.8 and row["rank_1"] > 0.3
    assert row["single_seconds"] > 0 and (row["disk"] > 0) == (row["engine"] in KINDS[1:])
  assert "| ondisk RR32,IVF8,PQ8np" in capsys.readouterr().out
  assert list(tmp_path.iterdir()) == []
  with pytest.raises(UserError, match="unknown engine 'annoy'"):
    benchmark.main([*words, "--engines", "annoy"])
  with pytest.raises(UserError, match="GB free, and features and indexes"):
    benchmark.main(["search", "--pictures", "1000000000000"])
