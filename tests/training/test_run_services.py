"""Metrics files, stop signals, summaries and compilation helpers."""

import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from vireid_jax.common import interrupts
from vireid_jax.runtime import compilation, preemption
from vireid_jax.training import metrics, summary


def test_metrics_are_appended_and_the_last_of_a_repeated_step_counts(tmp_path):
  for steps in ((1, 2, 3), (3, 4)):
    writer = metrics.MetricWriter(tmp_path, tensorboard=False)
    for step in steps:
      writer.write(step, {"loss": step + len(steps)})
    writer.close()
  lines = metrics.read(tmp_path)
  assert [(line["step"], line["loss"]) for line in lines] == [(1, 4), (2, 5), (3, 5), (4, 6)]


def test_disabled_writer_writes_nothing(tmp_path):
  writer = metrics.MetricWriter(tmp_path, enabled=False)
  writer.write(1, {"loss": 1.0})
  writer.close()
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_first_signal_asks_and_handlers_are_restored(number):
  before = signal.getsignal(number)
  with preemption.receiving_signals():
    with pytest.raises(interrupts.Stopped, match=number.name), preemption.listen() as stop:
      assert not stop.reached(1)
      os.kill(os.getpid(), number)
      assert stop.reached(1)
      assert stop.name == number.name
    with pytest.raises(interrupts.Stopped), preemption.listen() as stop, stop.interruptible():
      pytest.fail("went on")
  assert signal.getsignal(number) == before
  with preemption.receiving_signals(), preemption.listen() as stop:
    assert not stop.reached(1)


def test_summary_counts_by_module():
  variables = {
    "params": {
      "head": {"neck": {"scale": jnp.ones(3)}, "classifier": {"kernel": jnp.ones((3, 5))}}
    },
    "batch_stats": {"mean": jnp.zeros(7)},
  }
  lines = summary.describe(variables).splitlines()
  assert [line.split() for line in lines[:-1]] == [["head/classifier", "15"], ["head/neck", "3"]]
  assert lines[-1] == "18 parameters, 7 values in batch_stats"
  shapes = summary.list_shapes(variables).splitlines()
  assert "params/head/classifier/kernel\t(3, 5)\tfloat32" in shapes
  assert len(shapes) == 3


def test_summary_has_six_rows_at_most():
  # Nine modules at depth two, and one array that is in no module.
  params = {f"part{i}": {"kernel": jnp.ones(10 + i)} for i in range(8)} | {"scale": jnp.ones(3)}
  lines = summary.describe({"params": params}).splitlines()
  assert [line.split() for line in lines] == [
    *([f"part{i}", str(10 + i)] for i in range(3, 8)),
    ["4", "other", "modules", "36"],
    ["111", "parameters"],
  ]
  deep = {"params": {"a": {f"b{i}": {"c": {"kernel": jnp.ones(2)}} for i in range(7)}}}
  assert summary.describe(deep).split() == ["a", "14", "14", "parameters"]


def test_run_once_computes_what_jit_does():
  value = compilation.run_once(lambda: {"x": jnp.arange(3) * 2})
  np.testing.assert_array_equal(value["x"], [0, 2, 4])


def test_compilation_cache_leaves_a_chosen_folder_alone(monkeypatch):
  changed = []
  monkeypatch.setattr(compilation.jax.config, "update", lambda *args: changed.append(args))
  monkeypatch.setenv(compilation.CACHE_VARIABLE, "/somewhere")
  compilation.use_cache()
  assert changed == []
  monkeypatch.delenv(compilation.CACHE_VARIABLE)
  compilation.use_cache()
  assert changed == [("jax_compilation_cache_dir", str(compilation.CACHE_FOLDER.expanduser()))]
