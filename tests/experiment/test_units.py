"""Every file with numbers names their units: all kinds of files are written, and looked into."""

import json
import pathlib

import numpy as np
import pytest
import trained_models
from toys import config as toy_config

from vireid_jax import benchmark, embed, export, search
from vireid_jax.common import units, workdir_files
from vireid_jax.data import preparing
from vireid_jax.experiment import evaluate, train
from vireid_jax.report import records
from vireid_jax.speed import device, ranking
from vireid_jax.training import metrics


def numbers(value, key=""):
  """Yields the path of every number in a document."""
  if isinstance(value, dict):
    for name, each in value.items():
      yield from numbers(each, f"{key}/{name}".strip("/"))
  elif isinstance(value, list):
    for row, each in enumerate(value):
      yield from numbers(each, f"{key}/{row}".strip("/"))
  elif type(value) in (int, float):
    yield key


def unnamed(document, entry=None):
  """Returns the numbers without a unit; `entry` is that of the document, or of units.json."""
  entry = document[units.ENTRY] if entry is None else entry
  assert set(entry.values()) <= set(units.UNITS.values())
  rest = {name: value for name, value in document.items() if name != units.ENTRY}
  return [key for key in numbers(rest) if units.find(entry, key) is None]


def read(path):
  return json.loads(path.read_bytes())


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
  """A run with an evaluation of every kind of result."""
  workdir = tmp_path_factory.mktemp("runs") / "run"
  config = toy_config.make(data_dir, steps=2)
  config.eval.at_start = True
  train.train(config, workdir)
  more = ("rerank", "mixed", "verification")
  evaluate.evaluate(None, workdir, overrides=[f"--config.eval.{name}=True" for name in more])
  return workdir


def test_every_file_of_a_run_names_the_units_of_its_numbers(run):
  beside = read(run / workdir_files.UNITS)
  names = sorted(path.name for path in run.iterdir() if not path.name.startswith("."))
  entries = {workdir_files.MANIFEST, workdir_files.EVALUATIONS, workdir_files.UNITS}
  assert set(names) - entries - {workdir_files.CHECKPOINTS} <= set(beside)
  for name in set(names) & set(beside):
    if name.endswith(".json"):
      assert not unnamed(read(run / name), beside[name]), name
  for line in metrics.read(run):
    assert not unnamed(line, beside[workdir_files.METRICS])
  found = beside[workdir_files.METRICS]
  rate, seconds = units.UNITS["rate"], units.UNITS["seconds"]
  assert units.find(found, "eval/x/all/mAP") == units.find(found, "accuracy") == rate
  assert units.find(found, "seconds/data_wait") == seconds
  assert not unnamed(read(run / workdir_files.MANIFEST))


def test_records_name_rates_counts_and_distances(run):
  paths = sorted((run / workdir_files.EVALUATIONS).iterdir())
  assert len(paths) == 3
  for path in paths:
    assert not unnamed(read(path)), path.name
  entry = read(paths[-1])[units.ENTRY]
  stored = read(next(path for path in paths if "verification" in path.name))
  (feature,) = stored["verification"]
  for key, unit in {
    "results/all/1-shot/mean/mAP": "rate",
    "results/all/1-shot/gallery_sizes/0": "count",
    f"verification/{feature}/visible_infrared/tar/0.01/far": "rate",
    f"verification/{feature}/visible_infrared/tar/0.01/threshold": "similarity",
    f"verification/{feature}/visible_infrared/distance/intra/mean": "distance",
    "chance/all/1-shot/rank-1": "rate",
    "seconds": "seconds",
  }.items():
    assert units.find(entry, key) == units.UNITS[unit], key


def test_earlier_files_without_units_are_read(run, tmp_path):
  path = next((run / workdir_files.EVALUATIONS).glob("step_0000002.json"))
  stored = read(path)
  for name in (units.ENTRY, "chance"):
    del stored[name]
  (tmp_path / "eval").mkdir()
  (tmp_path / "eval" / path.name).write_text(json.dumps(stored))
  (found,) = records.of_workdir(tmp_path, None)
  assert found.results == records.read(path).results


def test_prepared_data_name_the_units_of_their_facts(data_dir):
  preparing.prepare("vireid_synthetic/smoke", data_dir=data_dir)
  (path,) = pathlib.Path(data_dir).glob("vireid_synthetic/smoke/*/metadata.json")
  found = read(path)
  assert not unnamed(found)
  assert units.find(found[units.ENTRY], "world/image_height") == "pixels"


def test_measurements_name_their_units(tmp_path, monkeypatch, capsys):
  whole = ranking.full_size_records()
  some = whole.take(np.arange(0, len(whole), 32))
  monkeypatch.setattr(ranking, "full_size_records", lambda: some)
  flags = ["--dimension", "8", "--trials", "1", "--repeats", "1"]
  benchmark.main(["ranking", *flags, "--json", str(tmp_path / "rank.json")])
  benchmark.main(["reranking", *flags[:4], "--json", str(tmp_path / "rerank.json")])
  capsys.readouterr()
  for name in ("rank.json", "rerank.json"):
    found = read(tmp_path / name)
    assert {"seconds", "peak_memory_gb"} <= set(found[units.ENTRY])


@pytest.mark.slow
def test_features_indexes_and_exports_name_their_units(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(device, "PRODUCT_SIZE", {"cpu": 64})
  trained_models.save(tmp_path / "run")
  trained_models.pictures(tmp_path / "photos", 3)
  (tmp_path / "photos" / "note.txt").write_text("no picture")
  assert export.main(["--checkpoint", "run", "--out", "new"]) == 0
  card = read(tmp_path / "new" / "card.json")
  assert not unnamed(card)
  assert units.find(card[units.ENTRY], "image_size/0") == "pixels"
  side = ["--checkpoint", "run"]
  options = ["--images", "photos", "--modality", "visible", "--out", "features.npz"]
  assert embed.main([*side, *options]) == 0
  with np.load("features.npz") as arrays:
    assert not unnamed(json.loads(str(arrays["facts"])))
  options = ["--gallery", "photos", "--query", "photos/0.png", "--query_modality", "infrared"]
  assert search.main([*side, *options, "--index", "i.npz", "--out", ""]) == 0
  with np.load("i.npz") as arrays:
    header = json.loads(bytes(arrays["header"]))
  assert not unnamed(header)
  assert units.find(header[units.ENTRY], "stamps/0.png/0") == "bytes"
