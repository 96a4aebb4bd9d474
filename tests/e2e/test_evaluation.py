"""Evaluation end to end: options, records, best checkpoint and report of one small run."""

import json

import command_lines
import numpy as np
import pytest
from markdown_tables import cells
from ml_collections import ConfigDict
from toys import config as toy_config

from vireid_jax import config as config_lib
from vireid_jax import report
from vireid_jax.common.errors import UserError
from vireid_jax.config import checks
from vireid_jax.experiment import evaluate, train
from vireid_jax.training.checkpoint import Checkpoints

SETTING = "all/1-shot/random_choice"


def make_config(data_dir, seed=0):
  config = toy_config.one_setting(toy_config.smoke(data_dir))
  config.seed = seed
  config.optim.lr = 1e-2
  config.train.duration = "6 steps"
  config.eval.every = "2 steps"
  config.eval.quick = True
  return config


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
  """Workdirs of two seeds of the same run; the best checkpoint chosen by held-out identities."""
  root = tmp_path_factory.mktemp("runs")
  for seed in (0, 1):
    config = make_config(data_dir, seed)
    config_lib.hold_out_val(config)
    config.checkpoint.keep_best = f"{SETTING}/mAP"
    train.train(config, root / f"seed_{seed}")
  return root


def record_of(workdir, name):
  return json.loads((workdir / "eval" / f"{name}.json").read_text())


def test_quick_looks_hold_trial_0_and_the_last_evaluation_all(trained):
  quick = record_of(trained / "seed_0", "step_0000002.val")["results"]
  assert {len(result["trials"]) for result in quick.values()} == {1}
  last = record_of(trained / "seed_0", "step_0000006.val")["results"]
  assert {len(result["trials"]) for result in last.values()} == {2}


def test_record_says_what_a_reader_needs(trained):
  record = record_of(trained / "seed_1", "step_0000006.val")
  assert record["seed"] == 1 and record["step"] == 6 and record["split"] == "val"
  assert record["dataset"] == "vireid_synthetic/smoke" and record["synthetic"] is True
  assert record["trained"]["optim"]["lr"] == 1e-2
  assert {"vireid_jax", "jax", "numpy"} <= set(record["versions"])
  assert record["device"] and record["devices"] == 1 and record["seconds"] >= 0
  conditions = record["results"][SETTING]["conditions"]
  assert conditions["feature"] == "after_neck"
  assert conditions["normalize"] is True
  assert conditions["flip"] is False and conditions["rerank"] is None


def test_best_checkpoint_is_that_of_the_best_evaluation(trained):
  workdir = trained / "seed_0"
  values = {
    step: record_of(workdir, f"step_{step:07d}.val")["results"][SETTING]["trials"][0]["mAP"]
    for step in (2, 4, 6)
  }
  checkpoints = Checkpoints(workdir / "best")
  step = max(values, key=lambda key: (values[key], -key))
  assert checkpoints.steps() == [step]
  assert checkpoints.meta(step)["best"] == {
    "metric": f"{SETTING}/mAP",
    "value": values[step],
    "step": step,
  }


def test_best_is_refused_on_the_test_set(data_dir, tmp_path):
  config = make_config(data_dir)
  config.checkpoint.keep_best = f"{SETTING}/mAP"
  with pytest.raises(UserError, match="held-out identities"):
    train.train(config, tmp_path)


def test_options_on_the_best_checkpoint(trained, data_dir):
  config = make_config(data_dir)
  config.eval.features = ("after_neck", "before_neck")
  config.eval.flip = True
  config.eval.rerank = config.eval.mser = True
  config.eval.mixed = True
  config.eval.verification = True
  config.eval.corruption.draws = 2
  config.eval.corruption.severities = (1, 2)
  results = evaluate.evaluate(config, trained / "seed_0" / "best")
  name = f"{SETTING}/before_neck/rerank/corrupted"
  assert {SETTING, f"{SETTING}/rerank", f"{SETTING}/before_neck", name} <= set(results)
  assert "visible_to_mixed/1-shot/before_neck/corrupted" in results
  assert f"{SETTING}/before_neck/mser" in results and f"{SETTING}/mser/corrupted" not in results
  assert len(results[name].trials) == 2 * len(results[SETTING].trials)
  assert results[name].conditions["corruption"]["severities"] == [1, 2]
  assert results[f"{SETTING}/corrupted"].trials[:2] != results[SETTING].trials
  (path,) = (trained / "seed_0" / "best" / "eval").glob("*.json")
  words = path.stem.split(".")[1:]
  options = ["after_neck", "before_neck", "flip", "rerank", "mser", "mixed", "verification"]
  assert words[:-1] == [*options, "corrupted"]  # and a hash of how they were corrupted
  record = json.loads(path.read_text())
  assert record["selection"]["metric"] == f"{SETTING}/mAP"
  assert set(record["verification"]) == {"after_neck", "before_neck"}
  assert "visible-infrared" in record["verification"]["after_neck"]
  again = evaluate.evaluate(config, trained / "seed_0" / "best")
  assert again[name].trials == results[name].trials
  text = report.render([str(trained / "seed_0" / "best")])
  assert "corrupted (all kinds, 2 draws), best by" in text
  assert "### Verification" in text


def test_report_over_two_seeds(trained):
  pattern = f"{trained}/seed_*"
  text = report.render([pattern])
  assert text == report.render([pattern])
  rates = [
    record_of(trained / f"seed_{seed}", "step_0000006.val")["results"][SETTING]["mean"]["mAP"]
    for seed in (0, 1)
  ]
  assert f"{100 * np.mean(rates):.2f} ± {100 * np.std(rates):.2f}" in text
  run, *others = cells(text)[1][:3]
  assert run.endswith("/seed_*") and others == ["toys.linear, after_neck", "2 seeds"]
  assert "vireid_synthetic/smoke (synthetic images), val, sysu_mm01, 1-shot" in text


def test_report_from_the_command_line(trained, capsys):
  arguments = ("--mode=report", f"--workdir={trained}/seed_0,{trained}/seed_1", "--step=6")
  with command_lines.parsed(*arguments) as main:
    assert main.main(["main"]) == 0
  items = [f"{trained}/seed_0", f"{trained}/seed_1"]
  assert capsys.readouterr().out == report.written(items, "table", step=6) + "\n"
  with command_lines.parsed(*arguments, "--all") as main:
    assert main.main(["main"]) == 0
  printed = capsys.readouterr().out
  assert printed == report.written(items, "table", everything=True, step=6) + "\n"
  assert report.render(items, step=6) in printed


def test_mixed_galleries_alone_take_no_reranking(data_dir):
  config = make_config(data_dir)
  config.eval.protocol = ConfigDict({"name": "mixed", "trials": 2})
  checks.validate(config)
  config.eval.rerank = True
  with pytest.raises(UserError, match="has no re-ranked or other transductive results"):
    checks.validate(config)
