"""The page: what is on it, that its marks are the evaluator's, and that it stands alone."""

import html.parser
import importlib.util
import pathlib
import re

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

import small_page

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.ranking import evaluate_ranking
from vireid_jax.report import page
from vireid_jax.report.page import (
  compose,
  curves,
  figures,
  histograms,
  needs,
  overlays,
  projection,
  ranked,
  relevance,
  runs,
)

SECTIONS = (
  *("runs", "tables", "curves", "cmc", "verification", "queries"),
  *("lists", "similarity", "projection", "attention", "about"),
)


class Reader(html.parser.HTMLParser):
  """Collects ids, sources and links, and the marked images of each ranked list."""

  def __init__(self):
    super().__init__()
    self.ids, self.addresses, self.lists = [], [], []

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.ids += [attrs["id"]] if "id" in attrs else []
    self.addresses += [attrs[name] for name in ("src", "href") if name in attrs]
    kind = attrs.get("class", "").split()
    if kind == ["pic", "query"]:
      self.lists.append([])
    elif kind[:1] == ["pic"]:
      self.lists[-1].append((int(attrs["data-row"]), kind[1]))


def read(path):
  reader = Reader()
  reader.feed(path.read_text(encoding="utf-8"))
  return reader


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  folder = tmp_path_factory.mktemp("page")
  with pytest.MonkeyPatch.context() as monkeypatch:
    return small_page.write(folder, monkeypatch, "run <one>")


def test_the_page_stands_alone_and_holds_every_section(written):
  text, reader = written.read_text(encoding="utf-8"), read(written)
  assert reader.ids == list(SECTIONS)
  assert not re.search(r"https?://", text)
  assert {address.split(":")[0] for address in reader.addresses if address[0] != "#"} == {"data"}
  assert {address[1:] for address in reader.addresses if address[0] == "#"} == set(SECTIONS)
  assert "<script" not in text
  assert text.count("<img ") == text.count('<img loading="lazy"') > 20
  assert written.stat().st_size < 1e6
  assert "run &lt;one&gt;" in text and "first &lt;channel&gt;" in text
  assert "Synthetic images" in text
  assert "No tables" in text  # nothing was evaluated, which is said


def test_every_figure_lies_beside_the_page_twice(written):
  folder = written.with_name("report_figures")
  names = {kind: sorted(path.stem for path in folder.glob(f"*.{kind}")) for kind in ("png", "svg")}
  assert names["png"] == names["svg"]
  for part in ("curve_loss", "curve_ratio", "cmc_all", "best", "worst", "similarity", "projection"):
    assert any(name.startswith(part) for name in names["png"]), part
  assert any(name.startswith("attention") for name in names["png"])


def test_marks_are_those_of_the_constructed_lists(written):
  identity = [image[0] for image in small_page.IMAGES]
  expected = [
    [(row, "right" if identity[row] == identity[query] else "wrong") for row in rows]
    for query, rows in small_page.LISTS.items()
  ]
  assert sorted(read(written).lists) == sorted(expected)


def test_precision_and_left_out_are_the_evaluator_s():
  embedded = small_page.embedded()
  (setting,) = embedded.comparisons
  best, worst = ranked.best_and_worst(embedded, setting)
  assert [item.query for item in best + worst] == [6, 0]  # 6: (1 + 2/4) / 2, 0: (1/2 + 2/3) / 2
  assert best[0].precision == pytest.approx(0.75)
  assert worst[0].precision == pytest.approx(7 / 12)
  assert (best[0].left_out, worst[0].left_out) == (0, 1)
  assert (worst[0].first_match.row, worst[0].first_match.rank) == (3, 2)
  comparison = embedded.comparisons[setting]
  known = embedded.records
  scored = evaluate_ranking(
    comparison.similarity(embedded.features),
    known.identity[comparison.queries],
    known.identity[comparison.gallery],
    exclude=comparison.exclude,
  )
  assert np.mean([0.75, 7 / 12]) == pytest.approx(scored["mAP"])


def test_a_folder_of_runs_stands_side_by_side_where_it_is_told(tmp_path, monkeypatch):
  out = tmp_path / "new" / "other.html"
  monkeypatch.setattr(compose.network, "embed", lambda run: small_page.embedded())
  for name in ("first", "second"):
    (tmp_path / name / "checkpoints").mkdir(parents=True)
  assert page.write([str(tmp_path)], str(out)) == out
  assert (out.parent / "other_figures").is_dir()
  text = out.read_text(encoding="utf-8")
  assert text.count('class="card"') == 2
  assert 'class="several"' in text
  assert len(read(out).lists) == 4
  assert "Nothing was logged" in text


def test_file_stands_in_the_workdir_of_one_run(tmp_path):
  assert page._file([str(tmp_path)], "") == tmp_path / "report.html"
  assert page._file(["a", "b"], "") == pathlib.Path("report.html")
  with pytest.raises(UserError, match="hold no run"):
    page.write([str(tmp_path)])


def test_missing_packages_are_named(monkeypatch):
  real = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, "find_spec", lambda name: None if name == "sklearn" else real(name)
  )
  with pytest.raises(UserError, match=r"scikit-learn: pip install 'vireid_jax\[report\]'"):
    needs.check()


def test_labels_are_what_runs_do_not_share(tmp_path):
  for name in ("a/seed_0", "b/seed_0"):
    (tmp_path / name / "checkpoints").mkdir(parents=True)
  found = runs.find([str(tmp_path / "a"), str(tmp_path / "b/seed_0")], step=None)
  assert [run.label for run in found] == ["a/seed_0", "b/seed_0"]
  assert [run.label for run in runs.find([str(tmp_path / "a")], step=3)] == ["a/seed_0"]


def test_curves_keep_the_last_of_a_step_and_pass_over_what_is_no_number(tmp_path):
  path = tmp_path / "metrics.jsonl"
  path.write_text('{"step": 20, "loss": 1}\n{"step": 10, "loss": 2}\n{"step": 20, "loss": 3}\n'
                  '{"step": 30, "loss": NaN, "lr": 0.1}\n{"step": 40, "lo')  # fmt: skip
  assert curves.read(path) == {"loss": {10: 2.0, 20: 3.0}, "lr": {30: 0.1}}
  assert list(curves.read(path)["loss"]) == [10, 20]
  assert curves.read(tmp_path / "absent") == {}


def test_a_term_that_would_lie_on_the_axis_gets_a_figure_of_its_own():
  scalars = {"loss": {1: 9.0}, "loss/identity": {1: 8.9}, "loss/alignment": {1: 0.1}, "lr": {1: 0}}
  panels = curves._by_group(scalars)
  assert list(panels) == ["loss", "loss, small terms", "lr"]
  assert (list(panels["loss"]), list(panels["loss, small terms"])) == (
    ["total", "identity"],
    ["alignment"],
  )


def test_histograms_count_pairs_of_different_images_once():
  features = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], np.float32)
  identity, everyone = np.array([1, 1, 1, 2]), np.arange(4)
  found = histograms.count(features, identity, everyone, everyone, bins=4)
  assert found.same.tolist() == [0, 0, 2, 1]  # cosines 1, 0, 0
  assert found.different.tolist() == [2, 0, 1, 0]  # -1, -1, 0
  assert found.mean_same == pytest.approx(1 / 3)
  assert found.overlap == pytest.approx(1 / 3)
  across = histograms.count(features, identity, everyone[:2], everyone[2:], bins=4)
  assert (across.same.sum(), across.different.sum()) == (2, 2)


def test_projection_parts_groups_and_repeats():
  generator = np.random.default_rng(0)
  centers = np.repeat(np.eye(3, 8), 10, axis=0)
  features = centers + 0.02 * generator.normal(size=(30, 8))
  points = projection.project(features)
  np.testing.assert_array_equal(points, projection.project(features))
  middles = points.reshape(3, 10, 2).mean(axis=1)
  spread = np.linalg.norm(points.reshape(3, 10, 2) - middles[:, None], axis=-1).max()
  gaps = np.linalg.norm(middles[:, None] - middles[None], axis=-1)[np.triu_indices(3, 1)]
  assert gaps.min() > 2 * spread


def test_grad_cam_of_a_linear_feature_is_known():
  # The feature is the mean over positions, so ds/dA_c is the same everywhere: (t - s f) / |f| / n.
  last = np.zeros((1, 1, 2, 2), np.float32)
  last[0, 0] = [[2, 0], [0, 2]]  # position 0 holds channel 0, position 1 channel 1; f = (1, 1)
  cam = relevance.grad_cam(lambda x: x.mean(axis=(1, 2)), last, np.array([[1.0, 0.0]]))
  along = (1 - 0.5) / np.sqrt(2) / 2  # of channel 0; that of channel 1 is its negative
  np.testing.assert_allclose(cam, [[[2 * along, 0]]], atol=1e-6)


def test_a_method_without_optional_members_shows_the_pixels_gradient():
  class Plain:
    def embed(self, variables, images, modality):
      return images[:, 0, 0] * variables["weight"]

  images = np.ones((1, 2, 2, 3), np.float32)
  found = relevance.maps(Plain(), {"weight": 2.0}, images, "visible", np.array([[1.0, 0, 0]]))
  assert list(found) == [relevance.SALIENCY]
  assert found[relevance.SALIENCY][0, 0, 0] > 0
  assert np.count_nonzero(found[relevance.SALIENCY]) == 1


def test_energy_is_the_root_of_the_mean_square():
  np.testing.assert_allclose(relevance.energy(np.array([[[[3.0, 4.0]]]])), [[[12.5**0.5]]])


def test_overlay_is_bright_where_the_map_is_large():
  tile = overlays.overlay(np.zeros((24, 12, 3), np.uint8), np.array([[0.0], [1.0]]))
  assert tile.shape == (144, 72, 3)
  assert tile[-10].mean() > tile[10].mean() + 50
  flat = overlays.overlay(np.zeros((24, 12, 3), np.uint8), np.full((2, 1), 0.7))
  assert flat.std() < 3  # a map without differences says nothing


def test_figures_of_one_name_do_not_overwrite_each_other(tmp_path):
  folder = figures.Folder(tmp_path / "figures")
  for _ in range(2):
    figure, _ = figures.new(size=(1, 1))
    folder.save(figure, "a/b", text="")
  assert len(list(folder.path.iterdir())) == 4
