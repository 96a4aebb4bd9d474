"""The command `search`: what it prints for few and for many queries, and its options."""

import csv
import io
import json

import pytest
import trained_models

from vireid_jax import search
from vireid_jax.report import threshold_hint

TOY = "toys.linear"
HEAD = ["query", "rank", "similarity_cosine", "picture"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  """A checkpoint, two galleries, and six queries."""
  root = tmp_path_factory.mktemp("site")
  trained_models.save(root / "run", TOY)
  trained_models.pictures(root / "gate", 4)
  trained_models.pictures(root / "yard" / "deep", 3, seed=1)
  trained_models.pictures(root / "night", 6, seed=2)
  return root


@pytest.fixture
def run(site, tmp_path, monkeypatch, capsys):
  """Runs a search in an empty folder with a cache of its own; returns (code, output, errors)."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.chdir(tmp_path)

  def call(*options, query="night/0.png", gallery=("gate",), checkpoint="run"):
    words = ["--checkpoint", str(site / checkpoint), "--query", str(site / query)]
    words += ["--gallery", *(str(site / name) for name in gallery)]
    code = search.main([*words, "--query_modality", "infrared", *options])
    return code, *capsys.readouterr()

  return call


def test_up_to_five_queries_are_one_table(run):
  code, said, _ = run("--top", "2")
  assert code == 0
  table = said.splitlines()[1:5]
  assert table[0].split() == ["query", "rank", "similarity", "picture"]
  assert table[1].split()[:2] == ["0.png", "1"] and table[2].split()[0] == "2"
  assert [line.split()[-1].endswith(".png") for line in table[1:3]] == [True, True]
  assert table[3] == "" and said.endswith("\nsearch.html\n")
  assert "1 query in 4 pictures" in said


def test_more_queries_are_a_summary_and_the_page(run):
  code, said, _ = run(query="night")
  assert code == 0 and len(said.splitlines()) == 5
  assert "similarity of the best picture: median 0." in said and "6 queries in 4 pictures" in said
  assert "rank" not in said and said.endswith("\nsearch.html\n")


def test_every_list_as_csv_and_as_json(run):
  _, said, errors = run("--format", "csv", "--out", "", query="night")
  rows = list(csv.DictReader(io.StringIO(said)))
  assert len(rows) == 6 * 4 and list(rows[0]) == HEAD
  assert [row["rank"] for row in rows[:4]] == ["1", "2", "3", "4"] and rows[4]["query"] == "1.png"
  assert "embedded 4 pictures" in errors and "6 queries in 4 pictures" in errors
  _, said, _ = run("--format", "json", "--out", "", query="night")
  found = json.loads(said)
  assert found["command"] == "search" and found["thresholds"] == []
  assert found["units"] == {"similarity": "cosine in [-1, 1]"} and len(found["queries"]) == 6
  assert found["rows"][0] == {
    "query": "0.png",
    "rank": 1,
    "similarity": float(rows[0]["similarity_cosine"]),
    "picture": rows[0]["picture"],
  }
  assert len(found["rows"]) == len(rows)


def test_several_galleries_are_one_list_and_overlaps_count_once(run, site):
  code, said, _ = run("--format=csv", "--top=20", gallery=("gate", "yard", "yard/deep", "gate"))
  names = [row["picture"] for row in csv.DictReader(io.StringIO(said))]
  assert code == 0 and len(names) == len(set(names)) == 7
  assert sorted(names)[0] == str(site / "gate" / "0.png")
  assert sorted(names)[-1] == str(site / "yard" / "deep" / "2.png")
  again = run("--format=csv", "--top=20", "--gallery", str(site / "yard"), gallery=("gate",))[1]
  assert sorted(line.split(",")[2:] for line in again.splitlines()) == sorted(
    line.split(",")[2:] for line in said.splitlines()
  )


def test_nothing_is_written_beside_the_pictures_and_checkpoints_keep_their_indexes(
  run, site, tmp_path
):
  before = sorted(site.rglob("*"))
  trained_models.save(tmp_path / "other", TOY, seed=1)
  told = [run("--out", "", checkpoint=folder)[1] for folder in ("run", tmp_path / "other", "run")]
  assert ["no index yet" in text for text in told] == [True, True, False]
  assert "gallery: unchanged, 4 pictures" in told[2]
  assert sorted(site.rglob("*")) == before
  told = [
    run("--out", "", "--index", "my.npz", checkpoint=folder)[1]
    for folder in ("run", tmp_path / "other", "run", tmp_path / "other")
  ]
  assert ["unchanged" in text for text in told] == [False, False, True, True]
  assert "index: my.npz is of another checkpoint or modality, and is kept" in told[1]


def test_the_query_itself_and_its_folder_are_left_out(run):
  searched = ("--out", "", "--gallery_modality", "infrared", "--format", "csv")
  _, said, _ = run(*searched, gallery=("night",))
  assert said.splitlines()[1].startswith("0.png,1,1.0") and said.count("\n") == 7
  _, said, _ = run(*searched, "--exclude", "same_file", gallery=("night",))
  assert ",0.png" not in said and said.count("\n") == 6
  code, said, _ = run("--exclude=same_folder", "--gallery_modality=infrared", gallery=("night",))
  assert code == 0 and "(no picture)" in said
  assert "queries without" not in said
  _, said, _ = run(
    "--exclude=same_folder", "--gallery_modality=infrared", query="night", gallery=("night",)
  )
  assert "queries without a picture: 6 (first: 0.png)" in said


def test_pictures_below_the_least_similarity_are_not_listed(run):
  _, said, _ = run("--format=csv", "--out=")
  values = [float(line.split(",")[2]) for line in said.splitlines()[1:]]
  between = (values[1] + values[2]) / 2
  _, said, _ = run("--format=csv", "--out=", f"--min_similarity={between}")
  assert [float(line.split(",")[2]) for line in said.splitlines()[1:]] == values[:2]


def test_thresholds_of_the_record_are_shown_in_percent(run, monkeypatch):
  point = {"false_accept_rate": 0.01, "true_accept_rate": 0.5, "min_similarity": 0.4321}
  point["record"] = "run/eval/step_0000007.json"
  asked = []

  def find(workdir, **options):
    asked.append((workdir.name, options))
    return [point]

  monkeypatch.setattr(threshold_hint, "find", find)
  said = run("--out", "")[1].splitlines()
  assert said[-3] == "pairs above a threshold, in run/eval/step_0000007.json:"
  assert said[-2].split("  ")[1:] == ["min_similarity", "of wrong pairs", "of right pairs"]
  assert said[-1].split() == ["0.432", "1", "%", "50.0", "%"]
  pair = ("infrared", "visible")
  assert asked == [("run", {"step": 7, "feature": "after_neck", "modalities": pair})]
  assert json.loads(run("--out", "", "--format", "json")[1])["thresholds"] == [point]


@pytest.mark.parametrize(
  "options, message",
  [
    (
      ["--min_similarity", "40"],
      "--min_similarity is 40.0; similarities are cosines, from -1",
    ),
    (["--min_similarity", "nan"], "--min_similarity is nan; similarities are cosines"),
    (["--min_similarity", "x"], "argument --min_similarity: invalid float value: 'x'"),
    (["--exclude", "same_cameras"], "unknown rule 'same_cameras'; did you mean 'same_camera'"),
    (["--format", "xml"], "argument --format: invalid choice: 'xml'"),
    (["--gallery", "nowhere"], "nowhere is not a folder or a regular file"),
    (["--index", "/proc/nowhere/x"], "cannot write /proc"),
    (["--top", "0"], "--top is 0; it must be at least 1"),
  ],
)
def test_wrong_values_are_refused_before_any_picture_is_embedded(run, options, message):
  code, said, errors = run(*options)
  assert code == 1 and said == "" and errors.startswith("error: ") and message in errors
