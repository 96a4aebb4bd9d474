"""Reports: averages, spreads, refusals, and the same bytes every time."""

import json
import random

import numpy as np
import pytest

from vireid_jax import report
from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.results import METRICS, SettingResult
from vireid_jax.report import headline, layout, records, tables


def conditions(setting, **other):
  return {
    "protocol": "regdb",
    "setting": setting,
    "normalize": True,
    "feature": "after_neck",
    "flip": False,
    "rerank": None,
    "corruption": None,
    **other,
  }


def result(setting, rates, **other):
  trials = tuple(dict.fromkeys(METRICS, rate) for rate in rates)
  counts = (4,) * len(trials)
  return SettingResult(trials, 4, counts, counts, conditions(setting, **other))


def write(workdir, results, *, step=10, name="", seed=0, trial=1, **changes):
  """Writes a record as an evaluation of RegDB would; dots in `changes` reach into the config."""
  config = {
    "seed": seed,
    "data": {
      "name": "regdb",
      "trial": trial,
      "train_splits": ["train_{trial}"],
      "dir": str(workdir),
    },
    "optim": {"lr": 0.1},
    "train": {"duration": "10 steps"},
    "eval": {"every": ""},
  }
  record = {
    "dataset": "regdb",
    "split": f"test_{trial}",
    "synthetic": True,
    "method": "agw",
    "results": {key: value.to_json() for key, value in results.items()},
    "step": step,
    "seed": seed,
    "trial": trial,
    "selection": changes.pop("selection", None),
    "trained": config,
  }
  for key, value in changes.items():
    section, option = key.split("__")
    config[section][option] = value
  path = workdir / "eval" / f"step_{step:07d}{name}.json"
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(record))
  return path


def plain(*rates, **other):
  return {"visible_to_infrared": result("visible_to_infrared", rates, **other)}


def rows(text):
  """Returns the rows of the Markdown tables as lists of cells, without the run's name."""
  lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
  return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]


def test_mean_and_deviation_over_splits(tmp_path):
  rates = [0.2, 0.5, 0.6]
  for split, rate in enumerate(rates, start=1):
    write(tmp_path / f"split_{split:02d}", plain(rate), trial=split)
  text = report.render([str(tmp_path)])
  assert rows(text)[1][:3] == ["agw, after_neck", "3 of 10 splits, 1 seed", "43.33 ± 17.00"]
  assert 100 * np.std(rates) == pytest.approx(17.0, abs=0.005)
  assert "regdb (synthetic images), test, regdb" in text
  assert "deviation over splits" in text
  assert r"43.33 $\pm$ 17.00" in text


def test_seeds_are_averaged_over_their_splits_first(tmp_path):
  for seed, base in ((0, 0.2), (1, 0.4)):
    for split in (1, 2):
      write(tmp_path / f"{seed}_{split}", plain(base + split / 10), seed=seed, trial=split)
  cells = rows(report.render([f"{tmp_path}/*"]))[1]
  assert cells[:3] == ["agw, after_neck", "2 of 10 splits, 2 seeds", "45.00 ± 10.00"]


def test_spread_over_trials_of_one_run(tmp_path):
  write(tmp_path / "run", plain(0.1, 0.3))
  text = report.render([str(tmp_path / "run")])
  assert rows(text)[1][2] == "20.00 ± 10.00"
  assert "deviation over trials" in text


def test_what_was_not_run_says_so(tmp_path):
  other = {"infrared_to_visible": result("infrared_to_visible", [0.7])}
  write(tmp_path / "a", plain(0.5) | other)
  write(tmp_path / "b", plain(0.25))
  first, second = rows(report.render([str(tmp_path / "a"), str(tmp_path / "b")]))[1:]
  assert first[2] == "50.00" and first[8] == "70.00"
  assert second[2] == "25.00" and second[8:] == ["not run"] * 6


def test_reranked_corrupted_and_other_features_stand_in_rows_of_their_own(tmp_path):
  options = {"k1": 20, "k2": 6, "lambda_value": 0.3, "query_only": False}
  results = {
    **plain(0.5),
    "a": result("visible_to_infrared", [0.6], rerank=options),
    "b": result("visible_to_infrared", [0.4], feature="before_neck"),
    "c": result("visible_to_infrared", [0.3], corruption={"kinds": [], "draws": 3}),
    "d": result("visible_to_infrared", [0.2], normalize=False, flip=True),
  }
  write(tmp_path / "run", results)
  text = report.render([str(tmp_path / "run")])
  plain_text, mark, transductive = text.partition("[transductive:")
  assert mark
  assert {cells[0]: cells[2] for cells in rows(plain_text)[1:]} == {
    "agw, after_neck": "50.00",
    "agw, before_neck": "40.00",
    "agw, after_neck, corrupted (all kinds, 3 draws)": "30.00",
    "agw, after_neck, flip, not normalised": "20.00",
  }
  assert {cells[0]: cells[2] for cells in rows(transductive)[1:]} == {
    "agw, after_neck, transductive: re-ranked (k1 20, k2 6, lambda 0.3)": "60.00",
  }


AFFINITY = {"transductive": "affinity", "affinity": {"k1": 8, "k2": 2}}


def test_no_table_has_plain_and_transductive_rows(tmp_path):
  marked = result("visible_to_infrared", [0.6], **AFFINITY)
  later = result("visible_to_infrared", [0.7], transductive="later", later={"depth": 3})
  damaged = result("visible_to_infrared", [0.1], corruption={"kinds": [], "draws": 3}, **AFFINITY)
  write(tmp_path / "run", {"a": marked, "b": later, "c": damaged} | plain(0.5))
  plain_table, other = tables.build([str(tmp_path / "run")])
  assert [row.kind for row in plain_table.rows] == ["plain"]
  assert not plain_table.transductive and "transductive" not in plain_table.heading
  assert other.transductive and other.heading.startswith(f"{plain_table.title} [transductive: ")
  assert {row.label.partition("transductive: ")[2]: row.kind for row in other.rows} == {
    "affinity inference (k1 8, k2 2)": "affinity inference",
    "later (depth 3)": "later",
    "affinity inference (k1 8, k2 2), corrupted (all kinds, 3 draws)": "corrupted",
  }
  table = layout.latex(other)
  assert all("transductive: " in line for line in table.splitlines() if line.startswith("run &"))
  assert "[transductive: a query's list depends on other test images]" in table


def test_typed_rows_have_the_mark(tmp_path):
  marked = result("visible_to_infrared", [0.6], **AFFINITY)
  write(tmp_path / "run", plain(0.5) | {"a": marked})
  found = headline.rows([str(tmp_path / "run")], tables.build([str(tmp_path / "run")]))
  assert [(row["ranking"], row["transductive"], row["rank_1"]) for row in found] == [
    ("plain", False, 0.5),
    ("affinity inference", True, 0.6),
  ]
  shown = headline.render([str(tmp_path / "run")], tables.build([str(tmp_path / "run")]))
  assert "50.00" in shown and "60.00" not in shown


def test_records_from_before_the_mark_are_averaged_with_later_ones(tmp_path):
  options = {"k1": 20, "k2": 6, "lambda_value": 0.3, "query_only": False}
  for seed, mark in enumerate(({}, {"transductive": "rerank"})):
    ranked = {"a": result("visible_to_infrared", [0.6 + seed / 10], rerank=options, **mark)}
    other = {"transductive": None} if mark else {}
    write(tmp_path / f"{seed}", plain(0.5, **other) | ranked, seed=seed)
  first, second = tables.build([str(tmp_path)])
  assert [table.rows[0].runs for table in (first, second)] == ["1 of 10 splits, 2 seeds"] * 2
  assert second.transductive
  assert second.rows[0].cells["visible_to_infrared"].mean["rank-1"] == pytest.approx(0.65)


@pytest.mark.parametrize("mark", [["affinity"], {"name": "affinity"}, 3])
def test_a_damaged_mark_is_a_damaged_record(tmp_path, mark):
  write(tmp_path / "run", plain(0.5))
  write(tmp_path / "run", {"a": result("visible_to_infrared", [0.6], transductive=mark)}, name=".b")
  assert len(tables.build([str(tmp_path / "run")])) == 1
  (reason,) = records.skipped([str(tmp_path / "run")])
  assert "is not an evaluation record of this version" in reason


def test_latest_step_counts_unless_another_is_asked_for(tmp_path):
  write(tmp_path / "run", plain(0.9), step=5)
  write(tmp_path / "run", plain(0.1), step=10)
  assert rows(report.render([str(tmp_path / "run")]))[1][2] == "10.00"
  assert rows(report.render([str(tmp_path / "run")], step=5))[1][2] == "90.00"


@pytest.mark.parametrize(
  "change, named",
  [
    ({"optim__lr": 0.2}, r"config.optim.lr: 0.1 -> 0.2"),
    ({"train__duration": "20 steps"}, r"config.train.duration"),
    ({"step": 11}, r"step: 10 -> 11"),
    ({"selection": {"metric": "x/mAP"}}, r"checkpoint chosen by"),
  ],
)
def test_runs_that_differ_are_never_averaged(tmp_path, change, named):
  write(tmp_path / "a", plain(0.5), seed=0)
  write(tmp_path / "b", plain(0.5), seed=1, **change)
  with pytest.raises(UserError, match=named):
    report.render([str(tmp_path)])
  assert len(rows(report.render([str(tmp_path / "a"), str(tmp_path / "b")]))) >= 3


@pytest.mark.parametrize(
  "other, named",
  [
    ({"feature": "before_neck"}, "feature: 'after_neck' -> 'before_neck'"),
    ({"flip": True}, "flip: False -> True"),
    ({"normalize": False}, "normalize: True -> False"),
    ({"rerank": {"k1": 20}}, "rerank"),
    ({"corruption": {"seed": 1}}, "corruption"),
  ],
)
def test_evaluations_that_differ_are_never_averaged(tmp_path, other, named):
  write(tmp_path / "a", plain(0.5), seed=0)
  write(tmp_path / "b", plain(0.5, **other), seed=1)
  with pytest.raises(UserError, match=named):
    report.render([str(tmp_path)])


def test_different_numbers_of_trials_are_never_averaged(tmp_path):
  write(tmp_path / "a", plain(0.5), seed=0)
  write(tmp_path / "b", plain(0.5, 0.6), seed=1)
  with pytest.raises(UserError, match="trials: 1 -> 2"):
    report.render([str(tmp_path)])
  write(tmp_path / "a", plain(0.5, 0.6), name=".flip")
  with pytest.raises(UserError, match="1 and 2 trials"):
    report.render([str(tmp_path / "a")])


def test_one_result_is_not_counted_twice(tmp_path):
  for name in ("a", "b"):
    write(tmp_path / name, plain(0.5), seed=3, trial=2)
  with pytest.raises(UserError, match="same seed 3 and trial 2"):
    report.render([str(tmp_path)])


def test_seeds_must_cover_the_same_splits(tmp_path):
  for seed, split in ((0, 1), (0, 2), (1, 1)):
    write(tmp_path / f"{seed}_{split}", plain(0.5), seed=seed, trial=split)
  with pytest.raises(UserError, match=r"different splits \(seed 0: \[1, 2\]; seed 1: \[1\]\)"):
    report.render([str(tmp_path)])


def test_where_and_how_one_looked_may_differ(tmp_path):
  write(tmp_path / "a", plain(0.4), seed=0, eval__every="5 steps")
  write(tmp_path / "b", plain(0.6), seed=1, data__dir="elsewhere")
  assert rows(report.render([str(tmp_path)]))[1][2] == "50.00 ± 10.00"


def test_same_bytes_whatever_the_order_of_writing(tmp_path):
  texts = []
  for order in ([1, 2, 3, 4], [3, 1, 4, 2]):
    folder = tmp_path / f"order_{order[0]}" / "run"
    for split in order:
      rate = random.Random(split).random()
      write(folder / f"split_{split:02d}", plain(rate, rate / 3), trial=split)
    texts.append(report.render([str(folder)]))
  assert texts[0] == texts[1]
  assert report.render([str(tmp_path / "order_1" / "run")]).encode() == texts[0].encode()


def test_nothing_to_report(tmp_path):
  with pytest.raises(UserError, match="no folder matches"):
    report.render([str(tmp_path / "nowhere*")])
  (tmp_path / "empty").mkdir()
  with pytest.raises(UserError, match="nothing was evaluated"):
    report.render([str(tmp_path / "empty")])
  path = write(tmp_path / "broken", plain(0.5))
  path.write_text("{}")
  with pytest.raises(UserError, match="not an evaluation record of this version"):
    report.render([str(tmp_path / "broken")])


@pytest.mark.parametrize(
  "content, words",
  [
    (b"", "it is not JSON"),
    (b"\xff", "it is not JSON"),
    (b"[" * 100_000, "it is not JSON"),
    (b"{}", "it has no entry '"),
  ],
)
def test_a_damaged_record_is_described_without_names_of_exceptions(content, words, tmp_path):
  path = write(tmp_path / "run", plain(0.5))
  path.write_bytes(content)
  with pytest.raises(UserError) as error:
    records.read(path)
  assert words in str(error.value) and "Error" not in str(error.value)
