"""Ablations and splits that are stopped, repeated, edited or mixed."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import command_lines
import config_files
import pytest
from experiment.test_ablate import Runs, call, write_record
from markdown_tables import cells

from vireid_jax import ablate, splits
from vireid_jax.common import workdir_files
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import ablation, finished
from vireid_jax.experiment import splits as splits_lib

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "mun_synthetic.py"

# An ablation whose runs wait for ever, and stop as a training does.
ENDLESS = """
import subprocess, sys
from vireid_jax import ablate
from vireid_jax.experiment import ablation
from vireid_jax.cli import app

RUN = "from vireid_jax.common import interrupts; import threading; interrupts.install();" \\
  "print('up', flush=True); threading.Event().wait()"
start = subprocess.Popen
ablation.subprocess.Popen = lambda words, **options: start([sys.executable, "-c", RUN], **options)
app.start(ablate.main)
"""

# The end of a config file that was edited.
DOUBLED = """
_before = get_config

def get_config(variant=""):
  config = _before(variant)
  config.optim.lr *= 2
  return config
"""


def wait_until(process, condition):
  while not condition():
    assert process.poll() is None, process.communicate()
    with contextlib.suppress(subprocess.TimeoutExpired):
      process.wait(0.02)


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_a_signal_stops_all_runs_and_starts_no_other(name, tmp_path):
  words = [f"--config={CONFIG}", f"--workdir={tmp_path}", "--jobs=2", "base", "full", "smoke"]
  process = subprocess.Popen(
    [sys.executable, "-c", ENDLESS, *words],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )
  logs = [tmp_path / row / "seed_0" / workdir_files.LOG for row in ("base", "full")]
  wait_until(process, lambda: all(log.exists() and "up" in log.read_text() for log in logs))
  os.killpg(process.pid, getattr(signal, name))  # as Ctrl-C does
  output, errors = process.communicate(timeout=20)
  assert process.returncode == 75
  assert errors == f"\n{name}: stopping; a second signal stops at once\n"
  assert "smoke" not in output and not (tmp_path / "smoke").exists()
  for log in logs:
    assert log.read_text() == "up\n\nSIGTERM: stopping; a second signal stops at once\n"


@pytest.mark.parametrize(
  "rows, message",
  [
    (("base", " base "), "are the same"),
    (
      ("full --config.seed=1 --config.optim.lr=2", "full --config.optim.lr=2  --config.seed=1"),
      "are the same",
    ),
    (("full --config.optim.lr=(1)", "full --config.optim.lr=[1]"), "would share the folder"),
    (("base --config.optim.lrr=1",), "no such key"),
    (("full --config.train.duration=3", "base"), "not a valid duration"),
    (("base", "bsae"), "unknown config variant"),
  ],
)
def test_rows_that_cannot_be_are_refused_before_anything_runs(rows, message, tmp_path, monkeypatch):
  monkeypatch.setattr(ablation, "_spawn", pytest.fail)
  with pytest.raises(UserError, match=message):
    call(tmp_path / "new", *rows)
  assert not list(tmp_path.glob("new/*"))


def test_folders_of_rows_are_names_below_the_workdir():
  texts = ("..", ".", "人", "a/b", "../up", f"full --config.x={'9' * 300}")
  names = [ablation.Row(text, "", ()).folder for text in texts]
  assert len(set(names)) == len(texts)
  assert all(name and not name.startswith(".") and "/" not in name for name in names)
  assert max(map(len, names)) <= 255


def test_an_edited_config_file_is_not_finished(tmp_path, monkeypatch):
  source = CONFIG.read_text()
  file = tmp_path / "mun_synthetic.py"
  file.write_text(source)
  arguments = [f"--config={file}", f"--workdir={tmp_path / 'runs'}", "--seeds=0", "base"]
  counts = []
  for text in (source, f"{source}# a comment\n", source + DOUBLED):
    file.write_text(text)
    runs = Runs()
    monkeypatch.setattr(ablation, "_spawn", runs)
    ablate.main(arguments)
    counts.append(len(runs.commands))
  assert counts == [1, 0, 1]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_torn_mark_is_named_and_the_run_goes_on(content, tmp_path, capsys):
  (tmp_path / workdir_files.FINISHED).write_bytes(content)
  assert not finished.is_finished(tmp_path, {"a": 1})
  assert f"{tmp_path / workdir_files.FINISHED} is ignored" in capsys.readouterr().err
  finished.mark(tmp_path, {"a": 1})
  assert finished.is_finished(tmp_path, {"a": 1}) and not finished.is_finished(tmp_path, {"a": 2})


def test_rows_that_change_the_protocol_do_not_end_the_table(tmp_path, monkeypatch, capsys):
  def other(command, cores, log):
    Runs()(command, cores, log)
    folder = pathlib.Path(command[-1].removeprefix("--workdir="))
    path = folder / "eval" / "step_0000350.json"
    record = json.loads(path.read_text())
    if folder.parent.name == "base":
      record["results"] = {"indoor/1-shot": record["results"]["all/1-shot"]}
    path.write_text(json.dumps(record))
    return 0

  monkeypatch.setattr(ablation, "_spawn", other)
  assert call(tmp_path, "full", "base") == 0
  printed = capsys.readouterr().out
  _, full, base = cells(printed)
  assert full[:4] == ["full", "", "2", "25.00 ± 7.07"]
  assert base[:4] == ["base", "`method.auxiliary: 'learned'` -> `'none'`", "2", "(other settings)"]


def test_a_first_setting_that_was_not_run_is_passed_over(tmp_path, monkeypatch, capsys):
  def empty(command, cores, log):
    Runs()(command, cores, log)
    path = pathlib.Path(command[-1].removeprefix("--workdir=")) / "eval" / "step_0000350.json"
    record = json.loads(path.read_text())
    result = record["results"]["all/1-shot"]
    nothing = result | {"trials": [], "mean": {}, "std": {}, "not_run": "no match"}
    record["results"] = {"indoor/1-shot": nothing, "all/1-shot": result}
    path.write_text(json.dumps(record))
    return 0

  monkeypatch.setattr(ablation, "_spawn", empty)
  assert call(tmp_path, "full") == 0
  printed = capsys.readouterr().out
  assert "test, all/1-shot" in printed
  assert cells(printed)[1][:4] == ["full", "", "2", "25.00 ± 7.07"]


def test_seeds_of_different_configs_are_not_averaged(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(ablation, "_spawn", Runs())
  call(tmp_path, "base", "full")
  capsys.readouterr()
  write_record(tmp_path / "full" / "seed_1", 1, "base")
  assert call(tmp_path, "base", "full") == 0
  assert "(seeds of different configs)" in capsys.readouterr().out


def test_splits_evaluates_every_split_and_trains_none(tmp_path, monkeypatch):
  config = config_files.load("agw_regdb", "smoke")
  for split in (1, 3):
    splits_lib.split_folder(tmp_path, split).mkdir()
  seen = []
  monkeypatch.setattr(splits_lib.train, "train", pytest.fail)
  monkeypatch.setattr(splits_lib.report, "render", lambda items, step: (items, step))

  def evaluate(config, folder, *, step, overrides):
    seen.append((config and config.data.trial, folder.name, step, overrides))

  monkeypatch.setattr(splits_lib.evaluate, "evaluate", evaluate)
  splits_lib.evaluate_splits(config, tmp_path, step=4)
  splits_lib.evaluate_splits(None, tmp_path, (3,), overrides=["--config.eval.flip=True"])
  assert seen == [
    (1, "split_01", 4, ()),
    (3, "split_03", 4, ()),
    (None, "split_03", None, ["--config.eval.flip=True"]),
  ]
  with pytest.raises(UserError, match=r"has no split_02; train it first. There are: 1, 3"):
    splits_lib.evaluate_splits(config, tmp_path, (1, 2))
  with pytest.raises(UserError, match=r"has no split_01; train it first. There are: none"):
    splits_lib.evaluate_splits(None, tmp_path / "nothing")


@pytest.mark.parametrize(
  "words, message",
  [
    (["--mode=report"], "vireid report --workdir DIR"),
    (["--html"], "vireid report --workdir DIR"),
    (["--step=4"], "is for --mode=evaluate"),
    (["--mode=evaluate"], "--workdir is required"),
  ],
)
def test_splits_refuses_options_that_it_does_not_use(words, message):
  with command_lines.parsed(*words), pytest.raises(UserError, match=message):
    splits.main(["splits"])
