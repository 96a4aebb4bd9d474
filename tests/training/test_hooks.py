"""TensorBoard and Weights & Biases: what is sent, and what happens without their packages."""

import builtins
import sys
import types

import numpy as np
import pytest
from toys import config as toy_config

from vireid_jax.common.errors import UserError
from vireid_jax.config import checks
from vireid_jax.experiment import evaluate, ranked_sheet, train
from vireid_jax.training import hooks, metrics

PIXELS = np.zeros((4, 6, 3), np.uint8)


class FakeRun:
  """Stands for what `wandb.init` returns."""

  url = "https://wandb.test/run"

  def __init__(self):
    self.logged, self.finished = [], 0

  def log(self, values, *, step):
    self.logged.append((step, values))

  def finish(self):
    self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
  """A module in wandb's place, which keeps what it is sent."""
  module = types.ModuleType("wandb")
  module.runs, module.started = [], []

  def init(**options):
    module.started.append(options)
    module.runs.append(FakeRun())
    return module.runs[-1]

  module.init, module.Image = init, lambda pixels: ("image", pixels.shape, pixels.dtype.name)
  monkeypatch.setitem(sys.modules, "wandb", module)
  monkeypatch.delenv("WANDB_PROJECT", raising=False)
  return module


@pytest.fixture
def without(monkeypatch):
  """Hides a package, as if it were not installed."""

  def hide(name):
    found = builtins.__import__

    def refuse(wanted, *arguments, **options):
      if wanted.partition(".")[0] == name:
        raise ImportError(f"No module named {name!r}")
      return found(wanted, *arguments, **options)

    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)

  return hide


def test_scalars_and_pictures_reach_wandb_with_their_step(wandb, tmp_path, capsys):
  (tmp_path / "config.json").write_text('{"seed": 3}')
  writer = metrics.MetricWriter(tmp_path, tensorboard=False, wandb=True)
  writer.write(1, {"loss": 2.0})
  writer.draw(2, lambda: {"ranked/x": PIXELS})
  writer.close()
  (run,), (options,) = wandb.runs, wandb.started
  assert run.logged == [(1, {"loss": 2.0}), (2, {"ranked/x": ("image", (4, 6, 3), "uint8")})]
  assert run.finished == 1 and capsys.readouterr().out == f"Weights & Biases: {run.url}\n"
  assert (options["project"], options["name"]) == ("vireid_jax", tmp_path.name)
  assert (options["config"], options["dir"]) == ({"seed": 3}, str(tmp_path))
  assert [line["step"] for line in metrics.read(tmp_path)] == [1]


def test_a_continued_run_has_the_same_name_and_other_workdirs_another(wandb, tmp_path, monkeypatch):
  monkeypatch.setenv("WANDB_PROJECT", "mine")
  for name in ("a", "a", "b"):
    (tmp_path / name).mkdir(exist_ok=True)
    metrics.MetricWriter(tmp_path / name, tensorboard=False, wandb=True).close()
  first, second, other = (options["id"] for options in wandb.started)
  assert first == second != other and len(first) == 8
  assert {(options["resume"], options["project"]) for options in wandb.started} == {
    ("allow", "mine")
  }


def test_other_processes_open_and_draw_nothing(wandb, tmp_path):
  writer = metrics.MetricWriter(tmp_path, wandb=True, enabled=False)
  writer.draw(1, lambda: pytest.fail("drawn"))
  writer.close()
  assert wandb.started == [] and list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra_before_anything_is_read(without, data_dir):
  config = toy_config.make(data_dir)
  config.log.wandb = True
  without("wandb")
  with pytest.raises(
    UserError, match=r"config.log.wandb=True needs wandb: pip install .*\[wandb\]"
  ):
    checks.validate(config)


def test_a_refused_start_says_how_to_go_on(wandb, tmp_path):
  def init(**_):
    raise RuntimeError("api_key not configured (no-tty)")

  wandb.init = init
  with pytest.raises(
    UserError, match=r"api_key not configured .*'wandb login'.*WANDB_MODE=offline"
  ):
    metrics.MetricWriter(tmp_path, tensorboard=False, wandb=True)


def test_tensorboard_is_optional(without, tmp_path):
  without("tensorboardX")
  assert hooks.open_all(tmp_path, tensorboard=True) == []
  assert hooks.open_all(tmp_path, tensorboard=False, wandb=False) == []


def test_tensorboard_gets_scalars_and_pictures(tmp_path):
  pytest.importorskip("tensorboardX")
  pytest.importorskip("PIL")
  writer = metrics.MetricWriter(tmp_path)
  writer.write(1, {"loss/name_of_a_term": 2.0})
  writer.draw(1, lambda: {"ranked/a_name": PIXELS})
  writer.close()
  (file,) = (tmp_path / "tensorboard").iterdir()
  content = file.read_bytes()
  assert b"loss/name_of_a_term" in content and b"ranked/a_name" in content
  assert b"\x89PNG" in content


def test_a_run_sends_its_losses_its_results_and_its_ranked_lists(wandb, data_dir, tmp_path):
  config = toy_config.make(data_dir, steps=2)
  config.log.wandb = True
  train.train(config, tmp_path / "run")
  (run,) = wandb.runs
  steps = [step for step, _ in run.logged]
  assert steps == [1, 2, 2, 2] and run.finished == 1
  assert "lr" in run.logged[0][1] and any(name.startswith("eval/") for name in run.logged[2][1])
  ((name, picture),) = run.logged[3][1].items()
  assert name == "ranked/vireid_synthetic/smoke/all/1-shot/random_choice"
  height, width = config.data.image_size
  tile = (height + 2 * ranked_sheet.FRAME + 2, width + 2 * ranked_sheet.FRAME + 2)
  _, (high, wide, channels), dtype = picture
  assert wide == (ranked_sheet.SHOWN + 1) * tile[1] and high % tile[0] == 0
  assert (channels, dtype) == (3, "uint8")
  assert wandb.started[0]["config"]["log"]["wandb"] is True


def test_an_evaluation_sends_its_ranked_lists_under_the_step_and_its_conditions(
  wandb, data_dir, tmp_path
):
  config = toy_config.make(data_dir, steps=2)
  train.train(config, tmp_path / "run")
  evaluate.evaluate(None, tmp_path / "run")
  assert wandb.runs == []  # as the training
  for overrides in ((), ("--config.eval.flip=True",)):
    evaluate.evaluate(None, tmp_path / "run", overrides=["--config.log.wandb=True", *overrides])
  names = []
  for run in wandb.runs:
    ((step, pictures),) = run.logged
    ((name, picture),) = pictures.items()
    assert step == 2 and picture[2] == "uint8" and run.finished == 1
    names.append(name)
  plain = "ranked/vireid_synthetic/smoke/all/1-shot/random_choice"
  assert names == [plain, f"{plain}/flip"]
  assert sorted(path.name for path in (tmp_path / "run" / "eval").iterdir()) == [
    "step_0000002.flip.json",
    "step_0000002.json",
  ]


@pytest.mark.slow
def test_offline_logging_needs_no_network(data_dir, tmp_path, monkeypatch):
  pytest.importorskip("wandb")
  monkeypatch.setenv("WANDB_MODE", "offline")
  config = toy_config.make(data_dir, steps=2)
  config.log.wandb = True
  train.train(config, tmp_path / "run")
  (stored,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
  identifier = (tmp_path / "run" / "wandb_id.txt").read_text().strip()
  assert stored.name == f"run-{identifier}.wandb"
  content = stored.read_bytes()
  assert b"loss/" in content and b"ranked/vireid_synthetic" in content
