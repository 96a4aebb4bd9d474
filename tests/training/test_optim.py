"""Optimisers against PyTorch's update rules written out, schedules, parameter groups."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toys import config as toy_config

from vireid_jax.common.durations import Clock
from vireid_jax.common.errors import UserError
from vireid_jax.experiment import train
from vireid_jax.training import metrics, optim

CLOCK = Clock(steps_per_epoch=5, batch_images=8)
CONFIG = {
  "name": "sgd",
  "lr": 0.1,
  "lr_multipliers": {},
  "momentum": 0.9,
  "nesterov": True,
  "weight_decay": 0.01,
  "no_decay": (),
  "schedule": "steps",
  "update_every": "epoch",
  "warmup": "",
  "warmup_from": 0.0,
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


def test_adamw_is_torchs_with_decay_beside_the_moments():
  start = np.array([1.0, -2.0, 0.5])
  config = {**CONFIG, "name": "adamw", "lr_multipliers": {"w": 0.5}, "no_decay": ("bias",)}
  params = {"w": jnp.float32(start), "bias": jnp.float32(start)}
  gradients = [{"w": jnp.float32(g), "bias": jnp.float32(g)} for g in GRADIENTS]
  result = run(config, params, gradients)
  for name, rate, decay in (("w", 0.05, 0.01), ("bias", 0.1, 0.0)):
    expected, first, second = start.copy(), 0.0, 0.0
    for count, gradient in enumerate(GRADIENTS, 1):
      expected = expected * (1 - rate * decay)
      first = 0.9 * first + 0.1 * gradient
      second = 0.999 * second + 0.001 * gradient**2
      step = first / (1 - 0.9**count) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
      expected = expected - rate * step
    np.testing.assert_allclose(result[name], expected, rtol=1e-5)


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
  schedule = optim.make_schedule({**CONFIG, "warmup": "4 steps", "update_every": "step"}, CLOCK)
  np.testing.assert_allclose(
    [schedule(s) for s in range(6)], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rtol=1e-6
  )


def rates(steps, clock=CLOCK, **change):
  schedule = optim.make_schedule({**CONFIG, **change}, clock)
  return [float(rate) for rate in jax.vmap(schedule)(jnp.asarray(steps))]


def test_the_warm_up_of_steps_may_start_above_zero():
  found = rates(range(5), warmup="4 steps", warmup_from=0.2, update_every="step")
  np.testing.assert_allclose(found, [0.04, 0.06, 0.08, 0.1, 0.1], rtol=1e-6)


def test_cosine_per_epoch_is_that_of_pmt():
  """3 epochs of warm-up from 3e-6, peak 3e-4, 24 epochs; epochs count from 1."""
  pmt = {"schedule": "cosine", "lr": 3e-4, "warmup": "3 epochs", "warmup_from": 0.01}
  pmt |= {"decay_at": ("24 epochs",), "decay_to": (0.01,)}
  first = [5 * epoch for epoch in range(26)]
  found = rates(first, **pmt)
  # By hand: 3e-6 + 9.9e-5 e, then 3e-6 + 1.485e-4 (1 + cos(pi e / 24)).
  np.testing.assert_allclose(found[:2], [1.02e-4, 2.01e-4], rtol=1e-5)
  np.testing.assert_allclose(found[2], 2.886966e-4, rtol=1e-5)  # cos(pi / 8) = 0.9238795
  np.testing.assert_allclose(found[7], 2.2575e-4, rtol=1e-5)  # cos(pi / 3) = 1 / 2
  np.testing.assert_allclose(found[11], 1.515e-4, rtol=1e-5)
  np.testing.assert_allclose(found[15], 7.725e-5, rtol=1e-5)
  np.testing.assert_allclose(found[23:], 3e-6, rtol=1e-4)
  assert rates([step + 4 for step in first], **pmt) == found


def test_cosine_per_step():
  found = rates(
    range(5), schedule="cosine", update_every="step", decay_at=("4 steps",), decay_to=(0.0,)
  )
  np.testing.assert_allclose(found, [0.0853553, 0.05, 0.0146447, 0, 0], atol=1e-7)


DNS = {
  "schedule": "one_cycle",
  "lr": 0.2,
  "warmup": "16 epochs",
  "warmup_from": 1e-4,
  "decay_at": ("100 epochs",),
  "decay_to": (0.0,),
}


def test_one_cycle_per_step_is_the_triangle_of_dns():
  clock = Clock(steps_per_epoch=927, batch_images=48)
  steps = np.arange(0, 101 * 927, 103)
  found = rates(steps, clock, update_every="step", **DNS)
  expected = np.interp(steps / 927, [0, 16, 100], [2e-5, 0.2, 0.0])
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
  by_hand = [2e-5, 0.0125052, 0.2, 0.1, 0.0]  # the second is in the authors' log
  found = rates([0, 926, 16 * 927, 58 * 927, 100 * 927], clock, update_every="step", **DNS)
  np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-9)


def test_the_innermost_module_with_a_multiplier_counts_in_whatever_order():
  """A ConfigDict sorts its keys, so that the order says nothing."""
  params = {
    "backbone": {"stem": {"w": 1.0}, "layer3": {"w": 1.0, "norm": {"w": 1.0}}},
    "head": {"w": 1.0},
  }
  pairs = [("backbone", 0.5), ("layer3", 0.25), ("backbone/layer3/norm", 0.125)]
  for ordered in (pairs, pairs[::-1]):
    config = {**CONFIG, "weight_decay": 0.0, "nesterov": False, "lr_multipliers": dict(ordered)}
    moved = run(config, params, [jax.tree.map(jnp.ones_like, params)])
    factors = jax.tree.map(lambda w: round(float(1 - w) * 10, 4), moved)
    assert factors == {
      "backbone": {"stem": {"w": 0.5}, "layer3": {"w": 0.25, "norm": {"w": 0.125}}},
      "head": {"w": 1.0},
    }


def test_late_step_reads_the_rates_as_the_authors_loop_does():
  """In their log the first rate of SYSU-MM01 is .012505 and that of batch 100 is .001355."""
  clock = Clock(steps_per_epoch=928, batch_images=48)
  found = rates([0, 1, 2, 100, 926, 927, 928, 929], clock, update_every="late_step", **DNS)
  np.testing.assert_allclose([found[0], found[3]], [0.012505, 0.001355], atol=5e-7)
  table = np.interp(np.arange(2 * 927) / 927, [0, 16, 100], [2e-5, 0.2, 0.0])
  entries = [926, 0, 1, 99, 925, 926, 927 + 926, 927]
  np.testing.assert_allclose(found, table[entries], rtol=1e-5)


def test_one_cycle_per_epoch_holds_the_rate_of_the_epochs_start():
  found = rates([0, 4, 5, 40, 80, 84, 290, 499, 500], **DNS)
  expected = [2e-5, 2e-5, 2e-5 + 0.19998 / 16, 0.10001, 0.2, 0.2, 0.1, 0.2 / 84, 0.0]
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_one_cycle_without_a_climb_only_falls():
  change = {**DNS, "lr": 1.0, "warmup": "", "decay_at": ("4 steps",), "decay_to": (0.2,)}
  np.testing.assert_allclose(
    rates(range(6), update_every="step", **change), [1, 0.8, 0.6, 0.4, 0.2, 0.2], rtol=1e-6
  )


def test_moments_of_other_units_in_the_wrong_order_fall_at_once():
  change = {**DNS, "lr": 1.0, "warmup": "2 epochs", "decay_at": ("4 steps",)}
  found = rates([0, 9, 10, 11, 12], update_every="step", **change)
  np.testing.assert_allclose(found, [1e-4, 0.90001, 1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("schedule", ("cosine", "one_cycle"))
def test_a_continued_run_keeps_its_schedule(schedule, data_dir, tmp_path):
  def trained(workdir, steps):
    config = toy_config.make(data_dir, steps=steps, save=2, optimizer="adamw")
    config.optim.schedule, config.optim.update_every = schedule, "step"
    config.optim.warmup, config.optim.warmup_from = "1 step", 0.5
    config.optim.decay_at, config.optim.decay_to = ("4 steps",), (0.1,)
    train.train(config, workdir)
    found = {line["step"]: line["lr"] for line in metrics.read(workdir) if "lr" in line}
    run = train.build(config, workdir)
    return found, run.checkpoints.restore(steps, run.abstract)

  rates, state = trained(tmp_path / "whole", 4)
  trained(tmp_path / "parts", 2)
  continued, again = trained(tmp_path / "parts", 4)
  assert continued == rates
  assert len(set(rates.values())) == 4
  jax.tree.map(np.testing.assert_array_equal, state.params, again.params)


END = {"decay_at": ("8 epochs",), "decay_to": (0.0,)}


@pytest.mark.parametrize(
  "change, message",
  [
    ({"schedule": "cosin"}, "config.optim.schedule = 'cosin'; did you mean 'cosine'"),
    ({"schedule": "cosine"}, "needs one moment"),
    (
      {"schedule": "one_cycle", "decay_at": ("1 epoch", "2 epochs"), "decay_to": (1, 0)},
      "'one_cycle' needs one moment",
    ),
    ({"schedule": "cosine", "decay_at": ("",), "decay_to": (0.0,)}, "is not after the end"),
    ({"schedule": "cosine", **END, "warmup": "9 epochs"}, "give a later one"),
    ({"schedule": "one_cycle", **END, "warmup": "2 epochs"}, "warmup_from = 0 gives the whole"),
    ({"name": "sgdd"}, "unknown optimiser 'sgdd'; did you mean 'sgd'"),
    ({"decay_at": ("1 epoch",)}, "1 entries and decay_to 0"),
    ({"update_every": "epochs"}, "did you mean 'epoch'"),
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
