"""The numbers on the page: tiles, intervals, curves, pairs of cameras, rates, gaps, shares."""

import types

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

import small_page
from test_report import plain, result, write

from vireid_jax.common.records import Records
from vireid_jax.report.page import (
  cmc,
  curves,
  facts,
  headline,
  histograms,
  overlays,
  projection,
  queries,
  results,
  roc,
  runs,
  seeds,
  tiles,
)
from vireid_jax.report.page.notes import Notes


class Kept:
  """A folder that keeps figures instead of writing them."""

  def __init__(self):
    self.figures, self.texts = [], []

  def save(self, figure, name, *, text, caption=""):
    self.figures.append(figure)
    self.texts.append(text)
    return name

  def legends(self):
    return [
      [text.get_text() for legend in figure.legends for text in legend.get_texts()]
      for figure in self.figures
    ]


def find(*folders):
  return runs.find([str(folder) for folder in folders], step=None)


def test_scores_of_queries_average_to_the_metrics():
  embedded = small_page.embedded()
  found = queries.by_query(embedded, embedded.headline)
  assert found["rank-1"].tolist() == [0, 1]
  assert found["mAP"] == pytest.approx([7 / 12, 0.75])
  assert found["mINP"] == pytest.approx([2 / 3, 2 / 4])
  summary = embedded.scores[embedded.headline][0].summary()
  assert (found["mAP"].mean(), found["mINP"].mean()) == pytest.approx(
    (summary["mAP"], summary["mINP"])
  )


def test_bootstrap_of_equal_values_is_a_point_and_of_a_coin_has_its_known_width():
  assert queries.bootstrap(np.full(7, 0.25)) == (0.25, 0.25)
  low, high = queries.bootstrap(np.repeat([0.0, 1.0], 500))
  assert (low, high) == pytest.approx((0.5 - 0.031, 0.5 + 0.031), abs=0.004)  # 1.96 sqrt(p q / n)


def test_rank_1_of_camera_pairs_is_that_of_the_constructed_angles():
  embedded = small_page.embedded()
  found = queries.camera_pairs(embedded, embedded.headline)
  assert found.queries == ["camera 3, infrared", "camera 6, infrared"]
  # Camera 2 is left out for camera 3, and has no image of the other query's identity.
  assert found.gallery == ["camera 1, visible", "camera 4, visible"]
  assert found.rates.tolist() == [[0, 1], [0, 1]]
  assert found.counts.tolist() == [[10, 10], [10, 10]]  # one query each, in ten trials


def test_cmc_panels_share_an_axis_and_their_legends_are_the_means():
  embedded = small_page.embedded()
  (setting,) = embedded.scores
  scores = embedded.scores[setting][0]
  wrong = types.SimpleNamespace(summary=lambda ranks: {"cmc": 0 * scores.summary(ranks)["cmc"]})
  one = types.SimpleNamespace(scores={setting: [scores, wrong], "other": [scores]})
  folder = Kept()
  cmc.draw({"run": one}, folder)
  assert folder.legends() == [["run: rank-1 25.00"], ["run: rank-1 50.00"]]
  assert len({figure.axes[0].get_ylim() for figure in folder.figures}) == 1
  band = folder.figures[0].axes[0].collections[0].get_paths()[0].vertices[:, 1]
  assert (band.min(), band.max()) == (0, 100)


def test_tiles_go_from_untrained_to_trained_with_an_interval_over_trials(tmp_path):
  write(tmp_path / "run", plain(0.1, 0.2), step=0)
  write(tmp_path / "run", plain(0.5, 0.7))
  found = find(tmp_path / "run")
  headlines = {run.label: headline.of_run(run) for run in found}
  built = tiles.build(found, headlines, {})
  name, (line,) = built["tiles"][0]
  assert (name, built["settings"]) == ("rank-1", ["visible_to_infrared"])
  assert line["rate"] == pytest.approx(0.6)
  assert line["before"] == "15.00 % untrained"
  headlines[found[0].label].record.stored["chance"] = {
    "visible_to_infrared": {"rank-1": 0.02, "mAP": 0.04}
  }
  lines = {name: line for name, (line,) in tiles.build(found, headlines, {})["tiles"]}
  assert lines["rank-1"]["before"] == "15.00 % untrained, 2.00 % by chance"
  assert lines["mINP"]["before"] == "15.00 % untrained"
  assert line["spread"] == "50.00 to 70.00 (95 % interval, bootstrap over 2 trials)"


def test_tiles_say_what_a_run_lacks_and_what_several_runs_spread(tmp_path):
  for seed, rate in enumerate((0.2, 0.4)):
    write(tmp_path / "both" / f"seed_{seed}", plain(rate), seed=seed)
  found = find(tmp_path / "both")
  headlines = {run.label: headline.of_run(run) for run in found}
  (line,) = tiles.build(found, headlines, {})["tiles"][1][1]
  assert line["rate"] == pytest.approx(0.3)
  assert line["spread"] == "± 10.00 (standard deviation over 2 runs)"
  assert line["before"] == tiles.NOT_EVALUATED
  (one,) = find(tmp_path / "both" / "seed_0")
  (line,) = tiles.build([one], {one.label: headline.of_run(one)}, {})["tiles"][0][1]
  assert line["spread"] == "no interval: one trial, and no features"


def test_a_headline_is_plain_and_of_the_run_s_own_evaluation(tmp_path):
  options = {"k1": 20, "k2": 6, "lambda_value": 0.3, "query_only": False}
  write(tmp_path / "run", plain(0.9, flip=True), name=".flip")
  ranked = {"a": result("visible_to_infrared", [0.8], rerank=options)}
  write(tmp_path / "run", ranked | plain(0.5))
  (run,) = find(tmp_path / "run")
  assert headline.of_run(run).result.mean["rank-1"] == pytest.approx(0.5)


def test_mixed_reranked_and_corrupted_rows_are_folded(tmp_path):
  options = {"k1": 20, "k2": 6, "lambda_value": 0.3, "query_only": False}
  write(
    tmp_path / "run",
    {
      **plain(0.5),
      "a": result("visible_to_infrared", [0.6], rerank=options),
      "b": result("visible_to_mixed/1-shot", [0.4], protocol="mixed"),
      "c": result("visible_to_infrared", [0.3], corruption={"kinds": [], "draws": 3}),
    },
  )
  found = results.build([str(tmp_path / "run")], None, Notes())

  def firsts(parts):
    lines = [line for part in parts for _, lines in part["groups"] for line in lines]
    return sorted(line["cells"][0] for line in lines)

  assert firsts(found["plain"]) == ["50.00"]
  assert firsts(found["folded"]) == ["30.00", "40.00", "60.00"]
  assert any(r"\toprule" in table["text"] and "60.00" in table["text"] for table in found["latex"])
  marked = [part for part in found["folded"] if "[transductive: " in part["title"]]
  assert firsts(marked) == ["60.00"]
  assert not any("transductive" in part["title"] for part in found["plain"])


def test_the_headline_s_setting_leads_its_table(tmp_path):
  other = {"infrared_to_visible": result("infrared_to_visible", [0.7])}
  write(tmp_path / "run", plain(0.5) | other)
  build = [str(tmp_path / "run")], None, Notes()
  (part,) = results.build(*build, first=["infrared_to_visible"])["plain"]
  assert [name for name, _ in part["groups"]] == ["infrared to visible", "visible to infrared"]
  assert part["one"] == "run: agw, after_neck, 1 of 10 splits, 1 seed"


def test_seeds_are_grouped_by_everything_else(tmp_path):
  for name, seed, rate, lr in (("a", 0, 0.2, 1), ("b", 1, 0.4, 1), ("c", 2, 0.9, 2)):
    write(tmp_path / name, plain(rate), seed=seed, optim__lr=lr)
  found = {run.label: headline.of_run(run) for run in find(tmp_path)}
  (one,) = seeds.group(found)
  assert (one.label, one.units) == ("a", [(0, 1), (1, 1)])
  assert one.rates["mAP"] == pytest.approx([0.2, 0.4])
  folder = Kept()
  seeds.draw([one], folder)
  assert "mAP 30.00 ± 10.00 %" in folder.texts[0]


def test_the_modality_gap_ignores_identities_of_one_modality():
  records = Records([1, 1, 1, 2], [1] * 4, [0, 0, 1, 1], ["a", "b", "c", "d"])
  features = np.array([[2, 0], [5, 0], [0, 3], [-1, 0]])
  assert projection.modality_gap(features, records) == pytest.approx(2**0.5)
  assert projection.modality_gap(features[[0, 0]], records.take([0, 2])) == pytest.approx(0)
  assert np.isnan(projection.modality_gap(features[:2], records.take([0, 3])))


def counted(same, different):
  return histograms.Histogram(np.array(same), np.array(different), 0.0, 0.0)


def test_rates_and_equal_error_rate_of_a_histogram():
  apart = roc.of_histogram(counted([0, 0, 5, 5], [10, 10, 0, 0]))
  assert (apart.far.tolist(), apart.tar.tolist()) == ([0, 0, 0, 0.5, 1], [0, 0.5, 1, 1, 1])
  assert apart.equal_error_rate == pytest.approx(0)
  assert roc.of_histogram(counted([1, 1], [3, 3])).equal_error_rate == pytest.approx(0.5)
  assert roc.of_histogram(counted([1, 3], [3, 1])).equal_error_rate == pytest.approx(0.25)
  assert roc.of_histogram(counted([0, 0], [3, 1])) is None


def test_recorded_rates_are_preferred_to_none(tmp_path):
  path = write(tmp_path / "run", plain(0.5))
  (run,) = find(tmp_path / "run")
  assert roc.of_record(run) == {}
  points = {"roc": [[0.1, 0.8], [1.0, 1.0]], "impostor": 40}
  fake = types.SimpleNamespace(
    records=[types.SimpleNamespace(path=path, stored={"verification": {"f": {
      "visible-infrared": points}}})]
  )  # fmt: skip
  found = roc.of_record(fake)[roc.ACROSS]
  assert (found.far.tolist(), found.tar.tolist(), found.least) == ([0.1, 1], [0.8, 1], 1 / 40)


def test_histograms_of_all_runs_share_a_range():
  low, high = [0] * histograms.BINS, [0] * histograms.BINS
  low[1000], high[3999] = 1, 1  # cosines of -0.5 and 1
  one, other = counted(low, [0] * histograms.BINS), counted(high, [0] * histograms.BINS)
  assert histograms.shared_range({"a": {"x": one}, "b": {"x": other}}) == pytest.approx(
    (-0.53, 1.03)
  )
  assert histograms.shared_range({}) == (-1, 1)
  assert one.coarse().same.sum() == 1 and len(one.coarse().same) == histograms.DRAWN


def test_share_inside_a_silhouette():
  mask = np.zeros((4, 2))
  mask[:2] = 1
  assert overlays.share_inside(np.array([[3.0], [3], [1], [1]]), mask) == pytest.approx(1)
  assert overlays.share_inside(np.arange(2.0).reshape(1, 2), mask) == pytest.approx(0.5)
  assert np.isnan(overlays.share_inside(np.full((4, 2), 7.0), mask))


def test_run_health_comes_last_and_rates_are_drawn_in_percent(tmp_path):
  lines = (
    '{"step": 1, "time": 10, "goodput": 0.5, "images_per_second": 9, "accuracy": 0.25}\n'
    '{"step": 2, "time": 14, "seconds/step": 3, "seconds/compile": 8, "loss": 2}\n'
    '{"step": 3, "time": 100, "loss": 1, "eval/regdb/visible_to_infrared/mAP": 0.1}\n'
  )
  (tmp_path / "metrics.jsonl").write_text(lines)
  folder = Kept()
  main, health = curves.draw(find(tmp_path), folder)
  assert main == ["curve loss", "curve accuracy", "curve evaluation, mAP"]
  assert health == [
    *("curve goodput", "curve images_per_second"),
    *("curve seconds, since the start", "curve seconds, per step"),
  ]
  labels = [figure.axes[0].get_ylabel() for figure in folder.figures]
  assert all(labels) and "images per second" in labels
  assert folder.figures[1].axes[0].lines[0].get_ydata()[0] == 25
  marks = folder.figures[0].axes[0].lines[-1]
  assert (marks.get_label(), list(marks.get_xdata())) == ("evaluated", [3])
  assert curves.seconds(tmp_path, 1) == 90
  assert curves.seconds(tmp_path, 2) == 4  # the pause before the continuation


def test_a_record_s_result_is_a_point_on_its_curve(tmp_path):
  write(tmp_path / "run", plain(0.5), step=20)
  (run,) = find(tmp_path / "run")
  assert curves.logged(run)["eval/regdb/visible_to_infrared/mAP"] == {20: 0.5}


def test_facts_come_from_the_manifest_and_say_what_is_not_recorded(tmp_path):
  write(tmp_path / "run", plain(0.5))
  (run,) = find(tmp_path / "run")
  found = facts.of_run(run)
  assert found["selection"] == "last step"
  for name in ("training images", "parameters", "time", "device", "commit", "command"):
    assert found[name] == facts.NOT_RECORDED, name
  (tmp_path / "run" / "manifest.json").write_text(
    '{"starts": [{"command": ["main.py", "--a", "b c"], "commit": {"hash": "0123456789abcdef",'
    ' "changed": true}, "devices": {"kind": "cpu", "count": 2}, "data": {"images": 6100,'
    ' "identities": 116}}]}'
  )
  (tmp_path / "run" / "parameters.tsv").write_text(
    "batch_stats/a\t(9,)\tfloat32\nparams/a\t(1000, 20)\tfloat32\nparams/b\t()\tfloat32\n"
  )
  found = facts.of_run(run)
  assert found["command"] == "main.py --a 'b c'"
  assert found["commit"] == "0123456789ab, with uncommitted changes"
  assert found["device"] == "2 x cpu"
  assert found["training images"] == "6,100 of 116 identities"
  assert found["parameters"] == "0.02 M in training"


@pytest.mark.parametrize("damaged", ["5", '{"starts": 5}', '{"starts": [[1]]}',
  '{"starts": [{"data": 3, "commit": [], "devices": "x", "command": {}}]}'])  # fmt: skip
def test_a_damaged_manifest_is_not_recorded(tmp_path, damaged):
  write(tmp_path / "run", plain(0.5))
  (tmp_path / "run" / "manifest.json").write_text(damaged)
  assert facts.of_run(find(tmp_path / "run")[0])["commit"] == facts.NOT_RECORDED


def test_config_differences_are_a_row_per_option(tmp_path):
  for name, lr in (("a", 0.1), ("b", 0.2)):
    write(tmp_path / name, plain(0.5))
    config = f'{{"optim": {{"lr": {lr}}}, "seed": 1, "log": {{"every": "{lr} steps"}}}}'
    (tmp_path / name / "config.json").write_text(config)
  write(tmp_path / "c", plain(0.5))
  assert facts.config_differences(find(tmp_path)) == [
    ("optim.lr", ["0.1", "0.2", facts.NOT_RECORDED])
  ]


def test_a_failing_figure_becomes_a_note():
  notes = Notes()
  assert notes.attempt("t-SNE", lambda: [1], []) == [1]
  assert notes.attempt("t-SNE", lambda: 1 / 0, []) == []
  assert notes == ["t-SNE: not shown, ZeroDivisionError: division by zero"]
