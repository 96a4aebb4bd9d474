"""The ablation runner: rows, commands, what is skipped, and the table's arithmetic."""

import json
import pathlib
import sys

import pytest
from markdown_tables import cells

from vireid_jax import ablate
from vireid_jax import config as config_lib
from vireid_jax.common import terminal
from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.results import METRICS, SettingResult
from vireid_jax.experiment import ablation

CONFIG = str(pathlib.Path(__file__).parents[2] / "configs" / "mun_synthetic.py")
RATES = {("base", 0): 0.10, ("base", 1): 0.14, ("full", 0): 0.30, ("full", 1): 0.20}


class Runs:
  """Stands in for the trainings: writes the record that one would leave."""

  def __init__(self, fail=()):
    self.commands, self.fail = [], fail

  def __call__(self, command, cores, log):
    self.commands.append(command)
    options = dict(word.removeprefix("--").split("=", 1) for word in command[3:])
    folder = pathlib.Path(options["workdir"])
    row = folder.parent.name.split("_")[0]
    if (row, int(options["config.seed"])) in self.fail:
      return 1
    write_record(folder, int(options["config.seed"]), row)
    return 0


def write_record(folder, seed, row):
  rate = RATES[row, seed]
  config = config_lib.to_dict(config_lib.load(CONFIG))
  config["seed"] = seed
  if row == "base":
    config["method"]["auxiliary"] = "none"
  conditions = {"protocol": "sysu_mm01", "setting": "all/1-shot"}
  results = {
    "all/1-shot": SettingResult((dict.fromkeys(METRICS, rate),), 4, (4,), (4,), conditions)
  }
  record = {
    "dataset": "vireid_synthetic/quick",
    "split": "test",
    "synthetic": True,
    "method": "mun",
    "results": {name: value.to_json() for name, value in results.items()},
    "step": 350,
    "seed": seed,
    "trial": 1,
    "selection": None,
    "trained": config,
  }
  path = folder / "eval" / "step_0000350.json"
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(record))


def call(workdir, *rows, seeds="0,1", common=()):
  return ablate.main(
    [f"--config={CONFIG}", f"--workdir={workdir}", f"--seeds={seeds}", *common, *rows]
  )


def test_rows_run_over_seeds_and_are_tabled_with_their_overrides(tmp_path, monkeypatch, capsys):
  runs = Runs()
  monkeypatch.setattr(ablation, "_spawn", runs)
  assert call(tmp_path, "base", "full", common=["--config.train.duration=9 epochs"]) == 0
  assert [command[3] for command in runs.commands] == [
    f"--config={CONFIG}:base",
    f"--config={CONFIG}",
  ] * 2
  assert all("--config.train.duration=9 epochs" in command for command in runs.commands)
  printed = capsys.readouterr().out
  assert "vireid_synthetic/quick (synthetic images), test, all/1-shot" in printed
  _, base, full = cells(printed)
  assert base[:4] == ["base", "`method.auxiliary: 'learned'` -> `'none'`", "2", "12.00 ± 2.83"]
  assert full[:4] == ["full", "", "2", "25.00 ± 7.07"]
  assert full[-1] == "30.00, 20.00"
  assert (tmp_path / "table.md").read_text() in printed


def test_a_run_that_flips_is_tabled_by_its_own_record(tmp_path, monkeypatch, capsys):
  def run(command, cores, log):
    assert Runs()(command, cores, log) == 0
    options = dict(word.removeprefix("--").split("=", 1) for word in command[3:])
    folder = pathlib.Path(options["workdir"])
    plain = folder / "eval" / "step_0000350.json"
    flipped = plain.with_name("step_0000350.flip.json")
    if folder.parent.name == "full":  # evaluated with plain features too, but not by itself
      record = json.loads(plain.read_text())
      record["results"]["all/1-shot"]["trials"] = [dict.fromkeys(METRICS, 0.9)]
      flipped.write_text(json.dumps(record))
    else:
      plain.rename(flipped)
    (folder / "evaluated.json").write_text(json.dumps({"record": f"eval/{flipped.name}"}))
    return 0

  monkeypatch.setattr(ablation, "_spawn", run)
  assert call(tmp_path, "base", "full") == 0
  printed = capsys.readouterr().out
  assert "test, all/1-shot [flip]" in printed
  _, base, full = cells(printed)
  assert base[3] == "12.00 ± 2.83"
  assert full[3] == "90.00 ± 0.00"


def test_other_formats_have_the_same_numbers_and_nothing_else(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(ablation, "_spawn", Runs(fail={("full", 1)}))
  assert call(tmp_path, "base", "full", common=["--format=json"]) == 1
  captured = capsys.readouterr()
  found = json.loads(captured.out)
  assert "seed_0 ..." in captured.err and "failed with exit code 1" in captured.err
  base, full = found["rows"]
  assert found["units"]["rank_1"] == found["units"]["mAP_std"] == "rate in [0, 1]"
  assert (base["row"], base["setting"], base["seeds"]) == ("base", "all/1-shot", 2)
  assert base["differences"] == "method.auxiliary: 'learned' -> 'none'"
  assert base["rank_1"] == pytest.approx(0.12) and base["mAP_std"] == pytest.approx(0.02 * 2**0.5)
  assert full["rank_1"] == pytest.approx(0.30) and full["rank_1_std"] is None
  call(tmp_path, "base", "full", common=["--format=csv"])
  head, first, second = capsys.readouterr().out.splitlines()
  assert head.startswith(
    "row,differences,setting,seeds,rank_1_rate,rank_10_rate,mAP_rate,mINP_rate"
  )
  assert first.startswith("base,method.auxiliary: 'learned' -> 'none',all/1-shot,2,0.12")
  assert second.startswith("full,,all/1-shot,1,0.3,")
  call(tmp_path, "base", "full", common=["--format=latex"])
  printed = capsys.readouterr().out
  assert r"12.00 $\pm$ 2.83" in printed and printed.startswith("% vireid_synthetic/quick")


def test_rows_start_from_a_variant_of_the_config(tmp_path, monkeypatch):
  runs = Runs()
  monkeypatch.setattr(ablation, "_spawn", runs)
  call(tmp_path, "base", "full", seeds="0", common=["--config", f"{CONFIG}:smoke"])
  files = [f"--config={CONFIG}:smoke,base", f"--config={CONFIG}:smoke"]
  assert [command[3] for command in runs.commands] == files


def test_finished_runs_are_skipped_and_others_are_not(tmp_path, monkeypatch):
  monkeypatch.setattr(ablation, "_spawn", Runs())
  call(tmp_path, "base", seeds="0")
  runs = Runs()
  monkeypatch.setattr(ablation, "_spawn", runs)
  call(tmp_path, "base", seeds="0")
  assert not runs.commands
  call(tmp_path, "base", seeds="0", common=["--config.log.every=1 steps"])
  assert len(runs.commands) == 1


def test_a_failed_run_is_named_and_the_others_are_tabled(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(ablation, "_spawn", Runs(fail={("full", 0), ("full", 1)}))
  assert call(tmp_path, "base", "full") == 1
  captured = capsys.readouterr()
  assert ["full", "", "0", "not run"] in [row[:4] for row in cells(captured.out)]
  assert "seed_0 failed with exit code 1; see " in captured.err
  with pytest.raises(UserError, match="no run of full was evaluated"):
    call(tmp_path / "other", "full")


def test_rows_read_variants_and_overrides_with_spaces():
  row = ablation.parse_row("base,val --config.train.duration=9 epochs --config.optim.lr=0.1")
  assert (row.variant, row.overrides) == (
    "base,val",
    ("--config.train.duration=9 epochs", "--config.optim.lr=0.1"),
  )
  assert row.folder == "base,val_train.duration=9_epochs_optim.lr=0.1"
  assert ablation.parse_row("full").variant == ""
  for text in ("", "--config.optim.lr=0.1", "base --lr=1", "base --config.optim.lr"):
    with pytest.raises(UserError, match="expected VARIANT"):
      ablation.parse_row(text)


@pytest.mark.parametrize(
  "arguments, message",
  [
    (["--seeds=a"], "--seeds is 'a'"),
    ([f"--config={CONFIG}:bsae"], "unknown config variant 'bsae'; did you mean 'base'"),
    (["--config=configs/nun.py"], "no file 'configs/nun.py'"),
  ],
)
def test_wrong_arguments_are_refused(tmp_path, arguments, message):
  with pytest.raises(UserError, match=message):
    call(tmp_path, "base", common=arguments)


def test_cores_are_shared_among_jobs(monkeypatch):
  monkeypatch.setattr(ablation.os, "sched_getaffinity", lambda _: {0, 1, 2, 5}, raising=False)
  monkeypatch.setattr(ablation.os, "sched_setaffinity", lambda *_: None, raising=False)
  assert ablation._share_cores(1) == [set()]
  assert ablation._share_cores(2) == [{0, 2}, {1, 5}]
  assert ablation._share_cores(5)[4] == {0}


def test_a_wrong_row_is_named_before_the_first_one_runs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(ablation, "run_all", lambda *given, **more: pytest.fail("a row was run"))
  for row, message in [
    ("nosuch", "row 'nosuch': unknown config variant 'nosuch'"),
    ("full --config.method.widht=8", "row 'full --config.method.widht=8': .* did you mean"),
    ("full --config.optim.lr=-1", "row 'full --config.optim.lr=-1': config.optim.lr is -1.0"),
  ]:
    with pytest.raises(UserError, match=message):
      ablate.main(["--config", CONFIG, "base", row])
  assert not list(tmp_path.iterdir())


def test_without_a_workdir_rows_go_where_the_config_says(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(ablation, "_run_all", lambda *given, **more: [])
  monkeypatch.setattr(ablation.ablation_table, "render", lambda *given: "table")
  assert ablate.main(["--config", CONFIG, "base"]) == 0
  folder = f"runs/{pathlib.Path(CONFIG).stem}-ablation"
  assert capsys.readouterr().out.splitlines()[0] == f"workdir: {folder} (change it with --workdir)"
  assert (tmp_path / folder / "table.md").read_text() == "table"


@pytest.mark.parametrize("columns", [50, 80, 100])
def test_a_terminal_gets_a_table_that_fits_and_the_file_all_columns(
  columns, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(ablation, "_spawn", Runs())
  monkeypatch.setattr(terminal, "draws_lines", lambda stream: stream is sys.stdout)
  monkeypatch.setattr(terminal, "size", lambda stream: (columns, 40))
  assert call(tmp_path, "base", "full") == 0
  printed = capsys.readouterr().out.split(" ...\n")[-1].splitlines()
  assert max(map(len, printed)) <= columns
  base, full = (line.split() for line in printed if line[:5] in ("base ", "full "))
  assert base[:2] == ["base", "2"] and full[2].startswith("25.0")
  assert ("±" in base) == (columns > 50) and "'none'" in " ".join(printed)
  stored = (tmp_path / "table.md").read_text()
  assert cells(stored)[0][1] == "differs from the config file in"
  assert "12.00 ± 2.83" in stored


@pytest.mark.parametrize(
  "log, shown",
  [
    ("", ""),
    ("step 3/4: loss 2.0\n\n", "step 3/4: loss 2.0"),
    ("train 0/4: compiling the step, 1:54 so far\n", "train 0/4: compiling the step"),
    ("train 2/9, 0:31 so far, 1:02 left\n", "train 2/9"),
    ("run\n2026-11-28 08:50:00.123: E external/xla/x.cc:73]\n" + "*" * 32 + "\n", "run"),
    ("run\n[Compiling module jit_step] Very slow compile?\n" + "*" * 32 + "\n", "run"),
    ("run\nThe operation took 2m3s\nE1128 08:50:00.1 12 alarm.cc:73] x\n", "run"),
  ],
)
def test_the_line_of_a_run_is_its_own_last_one(log, shown, tmp_path):
  (tmp_path / "log.txt").write_text(log)
  assert ablation._last_line(tmp_path / "log.txt") == shown
