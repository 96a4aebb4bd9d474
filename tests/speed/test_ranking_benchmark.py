"""Tests of the ranking benchmark: its size is the benchmark's, and its two sides agree."""

import json

import numpy as np
import pytest

from vireid_jax import benchmark
from vireid_jax.common.errors import UserError
from vireid_jax.common.records import VISIBLE
from vireid_jax.evaluators.protocols import sysu_mm01
from vireid_jax.speed import ranking, reranking


def test_records_have_the_published_counts():
  records = ranking.full_size_records()
  assert [int((records.camera == camera).sum()) for camera in range(1, 7)] == [
    1374,
    1565,
    1883,
    1918,
    1918,
    1920,
  ]
  assert int((records.modality == VISIBLE).sum()) == 6775
  for mode, shots, size in (("all", 1, 301), ("indoor", 10, 1120)):
    drawn = sysu_mm01.gallery_rows(
      records, {}, mode=mode, shots=shots, gallery="random_choice", trials=1
    )
    assert len(drawn[0]) == size


def test_both_sides_agree(monkeypatch, tmp_path, capsys):
  whole = ranking.full_size_records()
  some = whole.take(np.arange(0, len(whole), 16))
  monkeypatch.setattr(ranking, "full_size_records", lambda: some)
  path = tmp_path / "numbers.json"
  flags = ["--dimension", "32", "--trials", "2", "--repeats", "1", "--reference"]
  numbers = benchmark.main(["ranking", *flags, "--json", str(path)])
  assert numbers["largest_difference"] < 1e-6
  assert set(numbers["seconds"]) == {"vireid_jax", "plain loop"}
  assert json.loads(path.read_text()) == numbers
  assert "4 settings, 2 trials" in capsys.readouterr().out


def test_sentences_fit_a_narrow_terminal_at_full_size():
  sizes = {"queries": 3803, "visible_images": 6775, "features": 12, "dimension": 16384}
  numbers = {**sizes, "trials": 100, "peak_memory_gb": 123.45, "largest_difference": 1e-7}
  sides = {"vireid_jax": [1234.567] * 3, "plain loop": [12345.678] * 3}
  drawn = ranking.text({**numbers, "seconds": sides})
  one = {**numbers, "seconds": 12345.67, "plain_seconds_per_trial": 12345.67}
  drawn += "\n" + reranking.text(one)
  assert "3803 queries, 100 trials" in drawn and max(map(len, drawn.splitlines())) < 80


def test_unknown_benchmark_is_refused():
  with pytest.raises(UserError, match="invalid choice: 'nothing'"):
    benchmark.main(["nothing"])


def test_reranking_and_its_plain_loop_agree(monkeypatch, capsys):
  whole = ranking.full_size_records()
  some = whole.take(np.arange(0, len(whole), 16))
  monkeypatch.setattr(ranking, "full_size_records", lambda: some)
  flags = ["--dimension", "32", "--trials", "2", "--reference_trials", "2", "--structure", "0.5"]
  numbers = benchmark.main(["reranking", *flags])
  assert numbers["largest_difference"] < 1e-4
  assert numbers["trials"] == 2
  assert "peak memory" in capsys.readouterr().out
