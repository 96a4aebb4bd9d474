"""What a training shows on a terminal: a line that never rests, and nothing inside it."""

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


@pytest.mark.slow
def test_a_log_file_has_no_control_characters(tmp_path, data_dir):
  words = ["--config=agw_synthetic:smoke", "--workdir=run", "--config.log.every=1 step"]
  run = recordings.logged(["vireid_jax.main", *words, f"--config.data.dir={data_dir}"], tmp_path)
  assert "\r" not in run and "\x1b" not in run and "█" not in run
  assert "step 4/4: loss " in run
