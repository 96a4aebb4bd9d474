"""Optimisers against PyTorch's update rules written out, schedules, parameter groups."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vireid_jax.common.durations import Clock
from vireid_jax.common.errors import UserError
from vireid_jax.training import optim

CLOCK = Clock(steps_per_epoch=5, batch_images=8)
CONFIG = {
  "name": "sgd",
  "lr": 0.1,
  "lr_multipliers": {},
  "momentum": 0.9,
  "nesterov": True,
  "weight_decay": 0.01,
  "no_decay": (),
  "update": "epoch",
  "warmup": "",
  "decay_at": (),
  "decay_to": (),
}
GRADIENTS = np.random.default_rng(0).normal(size=(4, 3))


def run(config, params, gradients):
  optimizer = optim.create(config, optim.make_schedule(config, CLOCK))
  state = optimizer.init(params)
  for gradient in gradients:
    updates, state = optimizer.update(gradient, state, params)
    params = optax.apply_updates(params, updates)
  return params


def test_sgd_is_torchs_with_l2_and_nesterov():
  start = np.array([1.0, -2.0, 0.5])
  result = run(CONFIG, {"w": jnp.float32(start)}, [{"w": jnp.float32(g)} for g in GRADIENTS])
  expected, buffer = start.copy(), 0.0
  for gradient in GRADIENTS:
    decayed = gradient + 0.01 * expected
    buffer = 0.9 * buffer + decayed
    expected = expected - 0.1 * (decayed + 0.9 * buffer)
  np.testing.assert_allclose(result["w"], expected, rtol=1e-5)


def test_adam_is_torchs_with_l2_before_the_moments():
  start = np.array([1.0, -2.0, 0.5])
  config = {**CONFIG, "name": "adam"}
  result = run(config, {"w": jnp.float32(start)}, [{"w": jnp.float32(g)} for g in GRADIENTS])
  expected, first, second = start.copy(), 0.0, 0.0
  for count, gradient in enumerate(GRADIENTS, 1):
    decayed = gradient + 0.01 * expected
    first = 0.9 * first + 0.1 * decayed
    second = 0.999 * second + 0.001 * decayed**2
    step = first / (1 - 0.9**count) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
    expected = expected - 0.1 * step
  np.testing.assert_allclose(result["w"], expected, rtol=1e-5)


def test_groups_scale_freeze_and_exempt_from_decay():
  params = {
    "backbone": {"conv": jnp.ones(2), "bn": jnp.ones(2)},
    "head": {"neck": jnp.ones(2), "backbones": jnp.ones(2)},
  }
  config = {
    **CONFIG,
    "momentum": 0.0,
    "nesterov": False,
    "lr_multipliers": {"backbone": 0.1, "head/neck": 0.0},
    "no_decay": ("bn",),
  }
  gradient = {"backbone": {"conv": jnp.ones(2), "bn": jnp.ones(2)}}
  gradient["head"] = {"neck": jnp.ones(2), "backbones": jnp.ones(2)}
  result = run(config, params, [gradient])
  np.testing.assert_allclose(result["backbone"]["conv"], 1 - 0.1 * 0.1 * 1.01, rtol=1e-6)
  np.testing.assert_allclose(result["backbone"]["bn"], 1 - 0.1 * 0.1 * 1.0, rtol=1e-6)
  np.testing.assert_array_equal(result["head"]["neck"], 1.0)
  np.testing.assert_allclose(result["head"]["backbones"], 1 - 0.1 * 1.01, rtol=1e-6)


def test_names_that_match_nothing_are_refused():
  with pytest.raises(UserError, match="called 'bakbone'; did you mean 'backbone'"):
    optim.check_names({**CONFIG, "lr_multipliers": {"bakbone": 0.1}}, {"backbone": {"w": 0}})


def test_agw_schedule_per_epoch():
  config = {**CONFIG, "warmup": "10 epochs", "decay_at": ("20 epochs", "50 epochs")}
  schedule = optim.make_schedule({**config, "decay_to": (0.1, 0.01)}, CLOCK)

  def rate(epoch, step=0):
    return float(schedule(epoch * 5 + step))

  np.testing.assert_allclose([rate(e) for e in range(10)], np.arange(1, 11) / 100, rtol=1e-6)
  np.testing.assert_allclose(rate(3, 4), 0.04, rtol=1e-6)
  np.testing.assert_allclose(
    [rate(19, 4), rate(20), rate(49, 4), rate(50), rate(79)],
    [0.1, 0.01, 0.01, 0.001, 0.001],
    rtol=1e-6,
  )


def test_schedule_per_step_climbs_within_the_epoch():
  schedule = optim.make_schedule({**CONFIG, "warmup": "4 steps", "update": "step"}, CLOCK)
  np.testing.assert_allclose(
    [schedule(s) for s in range(6)], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rtol=1e-6
  )


@pytest.mark.parametrize(
  "change, message",
  [
    ({"name": "sgdd"}, "unknown optimiser 'sgdd'; did you mean 'sgd'"),
    ({"decay_at": ("1 epoch",)}, "1 entries and decay_to 0"),
    ({"update": "epochs"}, "did you mean 'epoch'"),
    ({"warmup": "ten epochs"}, "optim.warmup = 'ten epochs' is not a valid duration"),
  ],
)
def test_wrong_settings_are_explained(change, message):
  config = {**CONFIG, **change}
  with pytest.raises(UserError, match=message):
    optim.create(config, optim.make_schedule(config, CLOCK))


def test_durations():
  assert CLOCK.steps("3 epochs", key="k") == 15
  assert CLOCK.steps("0.5 epoch", key="k") == 2
  assert CLOCK.steps("7 steps", key="k") == 7
  assert CLOCK.steps("80 examples", key="k") == 10
  assert CLOCK.steps("", key="k") == 0
