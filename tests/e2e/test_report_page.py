"""The page of a run that was really trained, from the command line."""

import json

import command_lines
import numpy as np
import pytest
from toys import config as toy_config

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

from vireid_jax.common import workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import evaluate, train
from vireid_jax.report.page import cmc, network, runs
from vireid_jax.retrieval import trained

SETTING = "all/1-shot/random_choice"


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
  config = toy_config.one_setting(toy_config.smoke(data_dir))
  config.eval.verification = True
  folder = tmp_path_factory.mktemp("runs") / "linear"
  train.train(config, folder)
  evaluate.evaluate(config, folder)
  return folder


def command(*arguments):
  with command_lines.parsed(*arguments) as main:
    return main.main(["main"])


def test_the_command_writes_the_page_of_a_run(workdir, capsys):
  assert command("--mode=report", "--html", f"--workdir={workdir}") == 0
  path = workdir / "report.html"
  assert str(path) in capsys.readouterr().out
  text = path.read_text(encoding="utf-8")
  assert "What is not shown" not in text
  record = json.loads((workdir / "eval" / "step_0000004.json").read_text())
  rate = record["results"][SETTING]["mean"]["mAP"]
  assert f"{100 * rate:.2f} ±" in text
  assert "Verification" in text and "pixel gradient" in text  # it has no map to look at
  assert path.stat().st_size < 15e6


def test_cmc_is_that_of_the_evaluation_and_features_are_kept(workdir, monkeypatch):
  (run,) = runs.find([str(workdir)], step=None)
  embedded = network.embed(run)
  record = json.loads((workdir / "eval" / "step_0000004.json").read_text())
  mean = record["results"][SETTING]["mean"]
  curve = cmc.curves(embedded, SETTING).mean(axis=0)
  assert [curve[rank - 1] for rank in (1, 5, 10, 20)] == pytest.approx(
    [mean[f"rank-{rank}"] for rank in (1, 5, 10, 20)], abs=1e-12
  )
  kept = workdir / workdir_files.REPORT / "features_step_0000004.npz"
  assert kept.exists()
  monkeypatch.setattr(trained, "Embedder", None)  # would fail if it were needed again
  np.testing.assert_array_equal(network.embed(run).features, embedded.features)
  kept.write_bytes(b"damaged")
  with pytest.raises(TypeError):
    network.embed(run)


def test_html_belongs_to_reports(workdir):
  with pytest.raises(UserError, match="--html is for --mode=report; --mode is train"):
    command("--html=a.html", f"--workdir={workdir}")


def test_a_run_of_another_version_becomes_a_note(workdir, tmp_path, monkeypatch):
  def refuse(run):
    raise UserError("method linear has no option 'gone'")

  monkeypatch.setattr(network, "embed", refuse)
  out = tmp_path / "page.html"
  assert command("--mode=report", f"--html={out}", f"--workdir={workdir}") == 0
  text = out.read_text(encoding="utf-8")
  assert "What is not shown" in text and "has no option &#39;gone&#39;" in text
