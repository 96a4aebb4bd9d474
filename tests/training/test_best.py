"""The best checkpoint: kept by its value, across restarts, and never by a metric unknown."""

import types

import jax.numpy as jnp
import pytest

from vireid_jax.common.errors import UserError
from vireid_jax.evaluators.results import METRICS, SettingResult
from vireid_jax.training.best import BestCheckpoint
from vireid_jax.training.state import TrainState

METRIC = "all/1-shot/random_choice/mAP"


def results(*rates):
  trials = tuple(dict.fromkeys(METRICS, rate) for rate in rates)
  return {"all/1-shot/random_choice": SettingResult(trials=trials)}


def state(step):
  return TrainState(jnp.int32(step), {"w": jnp.full(3, float(step))}, {}, {})


def offer(workdir, *offers, first_trial=False):
  best = BestCheckpoint(workdir, METRIC, first_trial=first_trial)
  kept = [best.offer(step, state(step), results(*rates), {}) for step, *rates in offers]
  best.close()
  return kept


def stored(workdir):
  best = BestCheckpoint(workdir, METRIC, first_trial=False)
  checkpoints = best._checkpoints
  (step,) = checkpoints.steps()
  loaded = checkpoints.restore(step, state(0))
  return step, checkpoints.meta(step)["best"]["value"], loaded.params["w"].tolist()


def test_only_improvements_are_kept_across_restarts(tmp_path):
  assert offer(tmp_path, (10, 0.3), (20, 0.5), (30, 0.4)) == [True, True, False]
  assert stored(tmp_path) == (20, 0.5, [20.0] * 3)
  # A killed run repeats step 20 and goes on.
  assert offer(tmp_path, (20, 0.5), (30, 0.5), (40, 0.6)) == [False, False, True]
  assert stored(tmp_path) == (40, 0.6, [40.0] * 3)


def test_mean_or_trial_0_decides(tmp_path):
  assert offer(tmp_path / "mean", (1, 0.2), (2, 0.1, 0.9)) == [True, True]
  assert offer(tmp_path / "first", (1, 0.2), (2, 0.1, 0.9), first_trial=True) == [True, False]


def test_unknown_metric_names_the_nearest(tmp_path):
  best = BestCheckpoint(tmp_path, "all/1-shot/random_choice/mAp", first_trial=False)
  with pytest.raises(UserError, match="did you mean 'all/1-shot/random_choice/mAP'"):
    best.offer(1, state(1), results(0.1), {})
  best.close()


def test_another_metric_is_refused(tmp_path):
  offer(tmp_path, (1, 0.2))
  with pytest.raises(UserError, match="holds the best checkpoint by all/1-shot/random_choice/mAP"):
    BestCheckpoint(tmp_path, "all/1-shot/random_choice/mINP", first_trial=False)


def test_nothing_is_kept_without_a_metric(tmp_path):
  best = BestCheckpoint(tmp_path, "", first_trial=False)
  assert not best.offer(1, types.SimpleNamespace(), {}, {})
  best.close()
  assert list(tmp_path.iterdir()) == []
