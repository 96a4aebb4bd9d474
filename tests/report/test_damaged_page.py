"""The page of runs with odd names and damaged files: it appears, and says what it leaves out."""

import json

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

import small_page
from test_report import plain, write

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import Records
from vireid_jax.report import page
from vireid_jax.report.page import compose, curves, figures, overlays, ranked, runs

NAMES = ["$x_1", "a$b$c", "_hidden", r"\frac{", "über {x}^2", "q" * 90]


def test_names_are_drawn_as_they_are(tmp_path):
  found = []
  for number, name in enumerate(NAMES):
    (tmp_path / str(number)).mkdir()
    (tmp_path / str(number) / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n')
    found.append(runs.PageRun(name, tmp_path / str(number), None))
  curves.draw(found, figures.Folder(tmp_path / "drawn"))
  (file,) = (tmp_path / "drawn").glob("curve*.svg")
  for name in NAMES:
    assert f"<!-- {figures.short(name)} -->" in file.read_text(encoding="utf-8"), name


def test_a_name_that_is_no_text_is_escaped_everywhere(tmp_path, monkeypatch):
  name = b"$x_1\xff\x1b[31m".decode("utf-8", "surrogateescape")
  text = small_page.write(tmp_path, monkeypatch, name).read_text(encoding="utf-8")
  assert r"$x_1\xff\x1b[31m" in text and "\x1b" not in text
  assert len(list((tmp_path / "report_figures").glob("*.svg"))) >= 8


def test_a_list_without_a_right_image_leaves_the_rest_of_the_page(tmp_path, monkeypatch):
  embedded = small_page.embedded()
  known = embedded.records
  apart = Records(known.identity + 10 * known.modality, known.camera, known.modality, known.name)
  object.__setattr__(embedded.images, "records", apart)
  (setting,) = embedded.comparisons
  best, worst = ranked.best_and_worst(embedded, setting)
  assert (best, worst) == ([], [])
  assert overlays.pairs(embedded, best, worst) == []
  monkeypatch.setattr(small_page, "embedded", lambda: embedded)
  text = small_page.write(tmp_path, monkeypatch, "run").read_text(encoding="utf-8")
  assert "No query has a match in the gallery" in text


def refuse(run):
  raise UserError("the features cannot be had")


@pytest.mark.parametrize("data", [
  {"name": "vireid_synthetic/quick"},
  {"name": "sysu_mm01", "render": "smoke"},
])  # fmt: skip
def test_the_mark_of_synthetic_images_does_not_need_features(tmp_path, monkeypatch, data):
  monkeypatch.setattr(compose.network, "embed", refuse)
  (tmp_path / "checkpoints").mkdir()
  (tmp_path / "config.json").write_text(json.dumps({"data": data}))
  text = page.write([str(tmp_path)]).read_text(encoding="utf-8")
  assert "Synthetic images" in text and "the features cannot be had" in text


def test_the_mark_of_synthetic_images_may_come_from_a_record(tmp_path, monkeypatch):
  monkeypatch.setattr(compose.network, "embed", refuse)
  write(tmp_path / "run", plain(0.5))
  assert "Synthetic images" in page.write([str(tmp_path / "run")]).read_text(encoding="utf-8")


def test_real_images_are_not_called_synthetic(tmp_path):
  (tmp_path / "config.json").write_text(json.dumps({"data": {"name": "regdb", "render": ""}}))
  (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n')
  assert "Synthetic images" not in page.write([str(tmp_path)]).read_text(encoding="utf-8")


BAD = (b"\xff\xfe\x00", b"5", b"[1]", b'"x"', b"null", b"{}", b'{"step": 1e999}', b"{" * 9999)


def test_damaged_files_are_passed_over_and_named(tmp_path, monkeypatch):
  write(tmp_path / "run", plain(0.5))
  (tmp_path / "run" / "eval" / "step_abc.json").write_text("{}")
  (tmp_path / "run" / "config.json").write_bytes(b'{"data": {"na')
  good = b'{"step": 3, "loss": 1.5, "huge": %s}' % (b"9" * 400)
  (tmp_path / "run" / "metrics.jsonl").write_bytes(b"\n".join([*BAD, good, b'{"st']))
  assert curves.read(tmp_path / "run" / "metrics.jsonl") == {"loss": {3: 1.5}}
  text = page.write([str(tmp_path / "run")]).read_text(encoding="utf-8")
  assert f"{len(BAD)} lines of metrics.jsonl are damaged" in text
  assert "config.json is damaged" in text and "step_abc.json" in text
  assert "<td>50.00</td>" in text


@pytest.mark.parametrize("kept", [{"data": 5}, {"method": []}, {"seed": {"a": 1}}, {"train": ""}])
def test_a_config_of_other_values_ends_no_page(tmp_path, kept):
  for name in ("a", "b"):
    write(tmp_path / name, plain(0.5))
    (tmp_path / name / "config.json").write_text(json.dumps(kept if name == "a" else {"seed": 1}))
  text = page.write([str(tmp_path / name) for name in "ab"], str(tmp_path / "page.html"))
  assert text.read_text(encoding="utf-8").count('class="card"') == 2


def test_tables_on_the_page_lead_with_the_run(tmp_path):
  write(tmp_path / "low", plain(0.5), optim__lr=0.1)
  write(tmp_path / "high", plain(0.25), optim__lr=0.2)
  items = [str(tmp_path / name) for name in ("low", "high")]
  text = page.write(items, str(tmp_path / "page.html")).read_text(encoding="utf-8")
  assert '<th scope="row">low (optim.lr 0.1)<' in text
  assert '<th scope="row">high (optim.lr 0.2)<' in text


def fail(*args, **options):
  raise RuntimeError("no such luck")


@pytest.mark.parametrize("module, name", [
  (ranked, "to_page"), (ranked, "draw"), (overlays, "pairs"), (compose.projection, "draw"),
  (compose.queries, "camera_pairs"), (compose.facts, "of_run"),
  (compose.facts, "config_differences"),
  (compose.headline, "of_run"), (compose.histograms, "of_features"), (compose.cmc, "draw"),
])  # fmt: skip
def test_whatever_fails_becomes_a_note(tmp_path, monkeypatch, module, name):
  monkeypatch.setattr(module, name, fail)
  drawn = figures.Drawn("", "", "", 1, 1)
  monkeypatch.setattr(figures.Folder, "save", lambda *args, **options: drawn)
  text = small_page.write(tmp_path, monkeypatch, "run").read_text(encoding="utf-8")
  assert "RuntimeError: no such luck" in text and "About this page" in text
