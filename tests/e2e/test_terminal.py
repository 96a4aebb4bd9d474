"""What commands show on a terminal: a line that never rests, and nothing inside it."""

import subprocess
import sys

import pytest
import recordings

from vireid_jax.data import preparing

MOST_SILENT = 2.0  # seconds, on a machine that runs nothing else
# Phases of a training in which something is shown; short ones may fall between two drawings.
PHASES = {"initialising", "tracing the step", "compiling the step", "train"}


def check(recording):
  """Asserts that nothing is broken or silent; returns the transcript."""
  lines = recording.transcript()
  text = "\n".join(lines)
  assert recording.code == 0, text
  # On a wider terminal everything looks the same: no line was wider than this one.
  assert lines == recording.transcript(recording.columns + 200), text
  assert not [line for line in lines if "█" in line or "[0:" in line or "|" in line], text
  for silence in recording.longest().values():
    # The line is drawn by a thread that needs a core twice a second. Where other processes have
    # the cores, it is late by as much as this command's threads had to wait for one.
    assert silence.seconds <= MOST_SILENT + silence.delayed, silence
  return lines


@pytest.fixture
def prepared(data_dir):
  """A root with the data set: preparing it would print the root's name, which may be long."""
  preparing.prepare("vireid_synthetic/smoke", data_dir=data_dir)
  return data_dir


@pytest.mark.slow
@pytest.mark.parametrize("columns", (80, 100, 160))
def test_training_on_a_terminal(columns, tmp_path, prepared):
  words = ["--config=agw_synthetic:smoke", "--workdir=run", "--config.eval.rerank=True"]
  words += ["--config.log.every=1 step", "--config.train.duration=12 steps"]
  run = ["vireid_jax.main", *words, f"--config.data.dir={prepared}"]
  recording = recordings.record(run, columns, tmp_path)
  lines = check(recording)
  assert set(recording.longest()) >= PHASES
  bars = [line for line in recording.bottom_lines() if line.startswith("train ") and "%|" in line]
  assert bars and all("[0:" in bar and bar.endswith("]") for bar in bars)
  assert any("img/s" in bar for bar in bars) and len(set(bars)) > 1
  headlines = [line for line in lines if line.startswith("rank-1 ")]
  assert len(headlines) == 2 and "untrained" in headlines[1] and "untrained" not in headlines[0]
  assert recordings.record(run, columns, tmp_path).transcript()[0] == "run is finished"


# A tiny network instead of a ResNet-50, as in the test of the guide to one's own pictures.
SMALL = (
  "--config.data.image_size=(48,24)",
  "--config.sampler.num_identities=4",
  "--config.sampler.num_instances=2",
  "--config.method.depth=18",
  "--config.method.width=8",
  "--config.eval.batch=32",
  "--config.log.every=1 step",
  "--config.train.duration=12 steps",
)


@pytest.fixture(scope="module")
def own_data(tmp_path_factory):
  """A folder with pictures and a table in `mine`, prepared in `data`."""
  folder = tmp_path_factory.mktemp("own")
  for words in (
    ("synthesize", "own", "--out", "mine", "--preset", "smoke"),
    ("prepare", "own", "--manual_dir", "mine", "--data_dir", "data"),
  ):
    command = [sys.executable, "-m", f"vireid_jax.{words[0]}", *words[1:]]
    subprocess.run(command, cwd=folder, check=True, env=recordings.environment())
  return folder


@pytest.mark.slow
@pytest.mark.parametrize("columns", (80, 100, 160))
def test_own_pictures_are_trained_searched_and_reported(columns, own_data):
  run = f"run_{columns}"
  train = ["--config=agw_own", f"--workdir={run}", "--config.data.dir=data", *SMALL]
  recording = recordings.record(["vireid_jax.main", *train], columns, own_data)
  check(recording)
  assert set(recording.longest()) >= PHASES

  pictures = "mine/pictures"
  search = ["--checkpoint", run, "--gallery", f"{pictures}/visible", "--index", f"index_{columns}"]
  search += ["--query_modality", "infrared", "--out", f"search_{columns}.html", "--top=5"]
  several = ["--query", f"{pictures}/infrared"]
  lines = check(recordings.record(["vireid_jax.search", *search, *several], columns, own_data))
  assert any(" queries in " in line for line in lines)
  one = ["--query", str(min((own_data / pictures / "infrared").iterdir()).relative_to(own_data))]
  lines = check(recordings.record(["vireid_jax.search", *search, *one], columns, own_data))
  assert any(line.startswith("1 query in ") for line in lines)

  report = ["vireid_jax.main", "--mode=report", f"--workdir={run}"]
  lines = check(recordings.record(report, columns, own_data))
  assert any(line.split()[:1] == [run] for line in lines) and "mAP" in lines[1]
  check(recordings.record([*report, "--html"], columns, own_data))
  assert (own_data / run / "report.html").stat().st_size > 1e5


@pytest.mark.slow
def test_a_log_file_has_no_control_characters(tmp_path, data_dir):
  words = ["--config=agw_synthetic:smoke", "--workdir=run", "--config.log.every=1 step"]
  run = recordings.logged(["vireid_jax.main", *words, f"--config.data.dir={data_dir}"], tmp_path)
  assert "\r" not in run and "\x1b" not in run and "█" not in run
  assert "step 4/4: loss " in run
