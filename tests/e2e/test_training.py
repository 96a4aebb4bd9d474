"""Training in one process: it learns, stops, continues exactly, and refuses what it must."""

import json
import os
import signal

import config_files
import jax
import numpy as np
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.experiment import evaluate, train
from vireid_jax.runtime import compilation
from vireid_jax.training import metrics
from vireid_jax.training.checkpoint import Checkpoints

SETTINGS = {
  f"{mode}/{shots}-shot/{gallery}"
  for mode in ("all", "indoor")
  for shots in (1, 10)
  for gallery in ("random_choice", "official")
}


@pytest.fixture
def config(data_dir):
  return config_files.smoke("agw_synthetic", data_dir)


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
  """A workdir after four uninterrupted steps, and the final results."""
  workdir = tmp_path_factory.mktemp("trained")
  return workdir, train.train(config_files.smoke("agw_synthetic", data_dir), workdir)


def restore(run):
  return run.checkpoints.restore(run.checkpoints.latest(), run.abstract)


def test_run_leaves_everything_a_reader_needs(trained):
  workdir, results = trained
  assert set(results) == SETTINGS
  lines = metrics.read(workdir)
  evaluated = [line for line in lines if "loss" not in line]
  assert [line["step"] for line in evaluated] == [0, 4]
  assert all(f"eval/vireid_synthetic/smoke/{name}/mAP" in evaluated[1] for name in SETTINGS)
  lines = [line for line in lines if "loss" in line]
  assert [line["step"] for line in lines] == [2, 4]
  assert {"loss", "loss/identity", "loss/wrt", "lr", "epoch", "grad_norm"} <= set(lines[-1])
  np.testing.assert_allclose(
    lines[-1]["loss"], lines[-1]["loss/identity"] + lines[-1]["loss/wrt"], rtol=1e-5
  )
  record = json.loads((workdir / "eval" / "step_0000004.json").read_text())
  assert record["synthetic"] is True
  assert set(record["results"]) == SETTINGS
  assert (workdir / "eval" / "step_0000000.json").exists()
  assert (workdir / "config.json").exists()
  assert "params/head/neck/scale" in (workdir / "parameters.tsv").read_text()


def test_checkpoint_holds_label_mapping_config_and_versions(trained, config):
  workdir, _ = trained
  checkpoints = Checkpoints(workdir)
  assert checkpoints.steps() == [2, 4]
  meta = checkpoints.meta(4)
  assert meta["step"] == 4
  assert len(meta["identities"]) == 10 == len(set(meta["identities"]))
  assert meta["config"]["optim"]["lr"] == config.optim.lr
  assert {"jax", "flax", "vireid_jax"} <= set(meta["versions"])


def test_continued_run_equals_the_uninterrupted_one_bit_for_bit(trained, config, tmp_path):
  config.train.duration = "2 steps"
  train.train(config, tmp_path)
  config.train.duration = "4 steps"
  train.train(config, tmp_path)
  continued, whole = (restore(train.build(config, workdir)) for workdir in (tmp_path, trained[0]))
  assert int(continued.step) == 4
  jax.tree.map(np.testing.assert_array_equal, continued, whole)


def test_evaluation_of_a_restored_checkpoint_equals_the_run_s(trained, config):
  workdir, results = trained
  again = evaluate.evaluate(config, workdir)
  assert {k: v.trials for k, v in again.items()} == {k: v.trials for k, v in results.items()}
  earlier = evaluate.evaluate(config, workdir, step=2)
  assert set(earlier) == SETTINGS
  with pytest.raises(UserError, match=r"no checkpoint of step 3; there are \[2, 4\]"):
    evaluate.evaluate(config, workdir, step=3)


def test_stop_signal_saves_and_the_run_continues(config, tmp_path, monkeypatch):
  call = compilation.CompiledStep.__call__

  def call_and_signal(step, *arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return call(step, *arguments)

  monkeypatch.setattr(compilation.CompiledStep, "__call__", call_and_signal)
  config.eval.at_start = False
  with pytest.raises(train.Preempted, match="SIGTERM at step 1"):
    train.train(config, tmp_path)
  assert Checkpoints(tmp_path).steps() == [1]


def test_checkpoint_of_another_config_is_refused_with_both_values(trained, config):
  config.optim.lr = 0.5
  with pytest.raises(UserError, match=r"optim\.lr: 0\.002 -> 0\.5"):
    train.train(config, trained[0])


def test_evaluating_with_another_network_is_refused(trained, config):
  config.method.width = 16
  with pytest.raises(UserError, match=r"method\.width: 8 -> 16"):
    evaluate.evaluate(config, trained[0])


def test_evaluating_an_empty_workdir_is_refused(config, tmp_path):
  with pytest.raises(UserError, match="holds no checkpoints; train first"):
    evaluate.evaluate(config, tmp_path)


def test_more_identities_than_there_are_is_refused(config, tmp_path):
  config.sampler.num_identities = 64
  with pytest.raises(UserError, match="have 10 identities"):
    train.train(config, tmp_path)


def test_missing_data_name_the_prepare_command(config, tmp_path):
  config.data.name = "regdb"
  with pytest.raises(UserError, match="vireid prepare regdb --manual_dir"):
    train.train(config, tmp_path)
  config.data.name, config.data.dir = "sysu_mm01", str(tmp_path / "nowhere")
  with pytest.raises(UserError, match="is not a folder"):
    train.train(config, tmp_path)
