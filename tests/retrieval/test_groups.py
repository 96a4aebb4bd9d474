"""Tracks and enrolled people: their order against a plain loop, and what the command says."""

import csv
import io
import json
import re

import numpy as np
import pytest
import trained_models

from vireid_jax import search
from vireid_jax.common.errors import UserError
from vireid_jax.report import threshold_hint
from vireid_jax.retrieval import groups as groups_lib
from vireid_jax.retrieval.searcher import Labels, Searcher


def by_hand(queries, gallery, number, top, *, hidden):
  """Returns (best picture, score) of the best groups, query by query and group by group."""
  similarity = queries @ gallery.T
  similarity[hidden] = -np.inf
  lists = []
  for values in similarity:
    scored = []
    for group in range(number.max() + 1):
      rows = np.flatnonzero((number == group) & (values > -np.inf))
      if len(rows):
        best = np.sort(values[rows])[::-1][: groups_lib.BEST]
        scored.append((rows[values[rows].argmax()], best.mean()))
    lists.append(sorted(scored, key=lambda item: -item[1])[:top])
  return lists


def unit(*shape, seed):
  drawn = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
  return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("top", [1, 4, 60])
@pytest.mark.parametrize("groups", [3, 20, 400])
def test_groups_are_in_the_order_of_a_plain_loop(monkeypatch, top, groups):
  monkeypatch.setattr(groups_lib, "POOL", 2)  # so that more has to be looked at
  gallery, queries = unit(400, 8, seed=0), unit(5, 8, seed=1)
  number = np.random.default_rng(2).integers(0, groups, 400)
  _, number = np.unique(number, return_inverse=True)
  labels = Labels(np.array([0, 1, 2, -1, 9]), np.arange(400) % 3)
  hidden = (labels.queries[:, None] == labels.gallery) & (labels.queries[:, None] >= 0)
  divided = groups_lib.Groups([str(n) for n in range(number.max() + 1)], number)
  rank = groups_lib.GroupSearcher(Searcher(gallery), gallery, divided, normalize=True)
  found = rank(queries, top=top, exclude=[labels]).lists()
  expected = by_hand(queries, gallery, number, top, hidden=hidden)
  assert [[row for row, _ in each] for each in found] == [[r for r, _ in e] for e in expected]
  np.testing.assert_allclose(
    np.concatenate([[value for _, value in each] for each in found]),
    np.concatenate([[value for _, value in each] for each in expected]),
    atol=1e-6,
  )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  """A checkpoint, nine gallery pictures of three people and five tracks, and six queries."""
  root = tmp_path_factory.mktemp("site")
  trained_models.save(root / "run", "toys.linear")
  trained_models.pictures(root / "gate", 9)
  trained_models.pictures(root / "night", 6, seed=2)
  lines = [f"gate/{n}.png,{'abc'[n // 3]},{n // 2}" for n in range(8)]
  (root / "who.csv").write_text("\n".join(["path,identity,track", *lines]) + "\n")
  return root


@pytest.fixture
def run(site, tmp_path, monkeypatch, capsys):
  """Searches with the table in an empty folder; returns (code, output, errors)."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.chdir(tmp_path)

  def call(*options, query="night", table="who.csv"):
    words = ["--checkpoint", str(site / "run"), "--gallery", str(site / "gate")]
    words += ["--query", str(site / query), "--query_modality", "infrared"]
    words += ["--groups", str(site / table)] if table else []
    return search.main([*words, *options]), *capsys.readouterr()

  return call


def test_one_picture_of_each_track_is_listed(run):
  code, said, errors = run("--group", "track", "--format", "csv")
  rows = list(csv.DictReader(io.StringIO(said)))
  assert code == 0 and len(rows) == 6 * 5
  assert sorted(row["track"] for row in rows[:5]) == ["0", "1", "2", "3", "8.png"]
  assert "1 of 9 pictures have no track in" in errors
  for row in rows:
    assert row["track"] in (row["picture"], str(int(row["picture"][0]) // 2))


def test_people_are_accepted_above_the_threshold_of_the_record(run, monkeypatch):
  _, said, _ = run("--group", "identity", "--format", "csv", "--out", "")
  values = [float(row["similarity_cosine"]) for row in csv.DictReader(io.StringIO(said))]
  middle = float(np.median(values))
  points = [
    {"false_accept_rate": rate, "true_accept_rate": 0.5, "min_similarity": least, "record": "r"}
    for rate, least in ((0.1, -1.0), (0.01, middle))
  ]
  monkeypatch.setattr(threshold_hint, "find", lambda *_, **__: points)
  asked = ("--group", "identity", "--false_accept_rate", "0.05")
  found = json.loads(run(*asked, "--format", "json")[1])
  assert found["accepted_above"] == middle
  told = [row["accepted"] for row in found["rows"]]
  assert told == [row["similarity"] > middle for row in found["rows"]] and set(told) == {
    True,
    False,
  }
  assert set(row["identity"] for row in found["rows"]) == {"a", "b", "c", "8.png"}
  said = run(*asked)[1]
  count = len({row["query"] for row in found["rows"] if row["rank"] == 1 and row["accepted"]})
  assert f"{count} of 6 queries are accepted, above {middle:.3f}" in said
  said = run(*asked, query="night/0.png")[1].splitlines()
  head = next(line for line in said if line.startswith("query"))
  assert head.split() == ["query", "rank", "similarity", "picture", "identity", "accepted"]
  assert any(re.search(r" [abc] +(accepted|rejected)$", line) for line in said)


def test_the_page_names_the_group_of_each_picture(run, tmp_path):
  assert run("--group", "identity", query="night/0.png")[0] == 0
  page = (tmp_path / "search.html").read_text().replace("<wbr>", "")
  assert "one picture per identity of" in page and len(re.findall("&middot; [abc]<br>", page)) == 3


def test_options_that_do_not_fit_are_refused(run, site):
  (site / "odd.csv").write_text("path,track\nelsewhere/0.png,1\n")
  for options, table, message in (
    ([], "who.csv", "--groups is not used; add --group"),
    (["--false_accept_rate", "0.1"], None, "--false_accept_rate is not used; add --group"),
    (["--group", "track"], None, "--group track needs the track of each picture"),
    (["--group", "track", "--false_accept_rate", "0.1"], "who.csv", "use --group identity"),
    (["--group", "identity", "--false_accept_rate", "0"], "who.csv", "more than 0 and less than"),
    (["--group", "identity", "--false_accept_rate", "0.1"], "who.csv", "needs the ROC of an eval"),
    (["--group", "identity"], "odd.csv", "has 0 columns 'identity' in its first line"),
    (["--group", "track"], "odd.csv", "names no picture of the gallery"),
  ):
    code, _, errors = run(*options, table=table)
    assert code == 1 and message in errors, errors


def test_a_rate_below_the_records_is_refused():
  points = [{"false_accept_rate": 0.01, "min_similarity": 0.5, "record": "r.json"}]
  assert groups_lib.threshold(points, None, "") is None
  assert groups_lib.threshold(points, 0.5, "") == 0.5
  with pytest.raises(UserError, match=r"is 0\.001, and the least rate in r.json is 0\.01"):
    groups_lib.threshold(points, 0.001, "")
