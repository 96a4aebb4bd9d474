"""Ctrl-C and SIGTERM in each phase of each command: heard at once, a clean end, nothing left."""

import os
import shutil
import subprocess
import sys

import config_files
import numpy as np
import pytest
import trained_models
from experiment.test_import_weights import official_weights
from hostile import signalled
from hostile.signalled import ROOT, Case

MOST_UNTIL_LINE, MOST_UNTIL_END = 1.0, 10.0  # seconds, on an idle machine
CONFIG = "configs/agw_synthetic.py:smoke"
LONG = ("--config.train.duration=1000000 steps", "--config.log.every=1 step")
MAIN = ("vireid_jax.main", f"--config={CONFIG}")
TRAIN = (*MAIN, "--workdir={out}/run", *LONG)
OWN_DATA = "--config.data.dir={out}/data"
EVALUATE = ("vireid_jax.main", "--mode=evaluate", "--workdir={out}/run")
REPORT = ("vireid_jax.main", "--mode=report", "--workdir={out}/run")
PREPARE = ("vireid_jax.prepare", "vireid_synthetic/quick", "--data_dir={out}/data")
OWNER = ("vireid_jax.prepare", "sysu_mm01", "--manual_dir={root}/tree", "--data_dir={out}/data")
SYNTHESIZE = ("vireid_jax.synthesize", "regdb", "--out={out}/tree", "--identities=400")
CHECKPOINT = "--checkpoint={root}/linear"
EMBED = ("vireid_jax.embed", CHECKPOINT, "--images={root}/photos", "--modality=visible")
EMBED = (*EMBED, "--out={out}/features.npz", "--batch=1")
SEARCH = ("vireid_jax.search", CHECKPOINT, "--gallery={root}/photos", "--query={root}/photos/1.png")
SEARCH = (*SEARCH, "--query_modality=infrared", "--index={out}/index.npz", "--out={out}/page.html")
EXPORT = ("vireid_jax.export", "--checkpoint={root}/run", "--out={out}/exported")
SPLITS = ("vireid_jax.splits", "--config=configs/agw_regdb.py:smoke", "--workdir={out}/runs")
ABLATE = ("vireid_jax.ablate", "--config=configs/agw_synthetic.py", "--workdir={out}/runs", *LONG)
ABLATE = (*ABLATE, "--jobs=2", "smoke", "smoke,base")
IMPORT = ("vireid_jax.import_weights", f"--config={CONFIG}", "--weights={root}/agw.npz")
IMPORT = (*IMPORT, "--workdir={out}/run")
BENCHMARK = ("vireid_jax.benchmark", "ranking")
PAIRS = ("vireid_jax.pedmix_sheet", "--config=configs/tmpa_synthetic.py:smoke", "--out={out}/a.png")

FAST = (
  Case("storing", PREPARE, file="data/.incomplete-*"),
  Case("rendering", (*SYNTHESIZE, "--workers=2"), file=".tree.*", delay=2),
  Case("embedding", EMBED, output="embed"),
  Case("exporting", EXPORT[:1] + (CHECKPOINT,) + EXPORT[2:], file=".exported.*"),
)
SLOW = (
  *(
    Case("importing", arguments, earliest=0.3, delay=1.0)
    for arguments in (TRAIN, EVALUATE, REPORT, PREPARE, SYNTHESIZE, EMBED, SEARCH, EXPORT, SPLITS)
  ),
  *(
    Case("importing", arguments, earliest=0.3, delay=1.0)
    for arguments in (ABLATE, IMPORT, BENCHMARK, PAIRS)
  ),
  Case("importing", ("vireid_jax.cost", CONFIG), earliest=0.3, delay=1.0),
  Case("preparing data", (*TRAIN, OWN_DATA), file="data/.incomplete-*", delay=0.3),
  Case("reading data", TRAIN, output="training images"),
  Case("first state", TRAIN, output="training images", earliest=0.5, delay=2),
  Case("evaluation at the start", TRAIN, output="every shape", delay=3),
  Case("first compile", (*TRAIN, "--config.eval.at_start=False"), output="every shape", delay=3),
  Case("steps", TRAIN, output=r"train .*\| \d\d+/", delay=3),
  Case(
    "steps and saving",
    (*TRAIN, "--config.checkpoint.every=1 step"),
    output=r"train .*\| ([5-9]|\d\d+)/",
  ),
  Case("evaluation", (*TRAIN, "--config.eval.every=2 steps"), file="run/eval/*2.json", delay=3),
  Case("restoring", EVALUATE, earliest=1.0, delay=2.0),
  Case("embedding", EVALUATE, output="embed"),
  Case("drawing", (*REPORT, "--html"), file="run/report_figures/*", delay=2),
  Case("embedding", (*REPORT, "--html"), output="embed", delay=1),
  Case("checking", OWNER, output="checking", delay=1),
  Case("storing", OWNER, file="data/.incomplete-*", delay=1),
  Case("loading", EMBED, earliest=0.8, delay=1.5),
  Case("indexing", SEARCH, output="embed"),
  Case("ranking", SEARCH, output="gallery: "),
  Case("preparing data", (*SPLITS, OWN_DATA), file="data/**/.incomplete-*", delay=0.5),
  Case("training", SPLITS, output="every shape", delay=4),
  Case("starting runs", ABLATE, file="runs/smoke/seed_0/log.txt", delay=2),
  Case("runs", ABLATE, file="runs/smoke,base/seed_0/metrics.jsonl", delay=5),
  Case("reading", IMPORT, earliest=2.5, delay=2.5),
  Case("saving", IMPORT, file="run/**/*", delay=0.3),
  Case("ranking", BENCHMARK, earliest=1.5, delay=4),
  Case("steps", ("vireid_jax.benchmark", "step", CONFIG, "--batch-pairs=8"), earliest=2, delay=6),
  Case("measuring", ("vireid_jax.cost", CONFIG), earliest=2, delay=1),
  Case("drawing", PAIRS, earliest=2.5, delay=3),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  """What commands read: a tree, pictures, a linear checkpoint, weights; a prepared data set."""
  root = tmp_path_factory.mktemp("signals")
  trained_models.save(root / "linear", "toys.linear")
  trained_models.pictures(root / "photos", 1500)
  return root


def trained(root):
  """Adds what takes longer: a trained run, an owner's tree, the authors' weights."""
  if (root / "run").exists():
    return
  environment = os.environ | {"PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(root / "data")}
  for words in (
    ["vireid_jax.synthesize", "sysu_mm01", f"--out={root / 'tree'}", "--preset=quick"],
    ["vireid_jax.main", f"--config={CONFIG}", f"--workdir={root / 'run'}"],
    ["vireid_jax.pedmix_sheet", "--config=configs/tmpa_synthetic.py:smoke", f"--out={root}/a.png"],
  ):
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment)
    assert done.returncode == 0
  official_weights(config_files.smoke("agw_synthetic", root / "data"), root / "agw.npz")


def check(case, name, root, out, rng):
  """Runs a case until the signal meets it; returns the outcome, asserted but for the seconds."""
  for attempt in range(5):
    place = out / str(attempt)
    if case.arguments[1].startswith("--mode="):
      shutil.copytree(root / "run", place / "run")
    outcome = signalled.run(case, name, root, place, rng, scale=0.6**attempt)
    if outcome is not None:
      break
  assert outcome is not None, f"{case.command} was always faster than the signal"
  said = f"{case.command}, {case.phase}, {name}:\n{outcome.output}"
  assert outcome.code == 75, said
  assert outcome.lines == 1, said
  assert "Traceback" not in outcome.output and "Exception ignored" not in outcome.output, said
  assert outcome.left == [], said
  return outcome


@pytest.mark.parametrize("name, case", list(zip(("SIGINT", "SIGTERM") * 2, FAST, strict=True)))
def test_a_signal_in_a_phase_ends_the_command_cleanly(name, case, root, tmp_path):
  outcome = check(case, name, root, tmp_path / "out", np.random.default_rng(0))
  assert outcome.ended < MOST_UNTIL_END


@pytest.mark.slow
def test_signals_in_every_phase_of_every_command(root, tmp_path):
  trained(root)
  rng, rows, wrong = np.random.default_rng(0), [], []
  for number, case in enumerate((*FAST, *SLOW)):
    for name in ("SIGINT", "SIGTERM"):
      try:
        outcome = check(case, name, root, tmp_path / f"{number}{name}", rng)
      except AssertionError as error:
        wrong.append(str(error))
        print(error, flush=True)
        continue
      seconds = f"{outcome.acknowledged:.2f} | {outcome.ended:.1f}"
      row = f"| {case.command} | {case.phase} | {name} | {outcome.code} | {seconds} | nothing |"
      print(row, flush=True)
      rows.append((outcome, row))
  late = [
    row
    for outcome, row in rows
    if outcome.acknowledged > MOST_UNTIL_LINE or outcome.ended > MOST_UNTIL_END
  ]
  assert not wrong and not late, "\n\n".join([*late, *wrong])
