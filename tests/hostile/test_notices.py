"""Notices: once per run, also across restarts, and kept where the run is described."""

import math

import config_files
import jax
import jax.numpy as jnp
import pytest
from toys import config as toy_config

from vireid_jax import losses, methods
from vireid_jax.common import workdir_files
from vireid_jax.config.parts import make_method
from vireid_jax.experiment import manifest, train
from vireid_jax.experiment.notices import Notices
from vireid_jax.experiment.stagnation import Stagnation


def test_a_notice_is_shown_and_kept_once(tmp_path, capsys):
  for text in ("first", "second"):
    notices = Notices(tmp_path)
    notices.step = 7
    notices("weights_left_over", text)
    notices("weights_left_over", text)
  Notices(tmp_path)("other", "third")
  assert capsys.readouterr().err == "notice: first\nnotice: third\n"
  assert manifest.read(tmp_path)["notices"] == [
    {"key": "weights_left_over", "step": 7, "text": "first"},
    {"key": "other", "step": 0, "text": "third"},
  ]


@pytest.mark.parametrize(
  "content", [b"", b"{", b"5", b"[]", b"\xff", b'{"starts": 3}', b'{"starts": [3]}', b"[" * 9999]
)
def test_a_damaged_manifest_is_named_and_replaced(content, tmp_path, capsys):
  path = tmp_path / workdir_files.MANIFEST
  path.write_bytes(content)
  Notices(tmp_path)("key", "text")
  assert f"{path} is damaged" in capsys.readouterr().err
  assert [notice["key"] for notice in manifest.read(tmp_path)["notices"]] == ["key"]


class Told(dict):
  """Keeps what was told, by key."""

  def __call__(self, key, text):
    assert key not in self
    self[key] = text


def watch(losses, *, trivial=(), steps_per_epoch=4, every=1, told=None):
  told = Told() if told is None else told
  stagnation = Stagnation(dict(trivial), steps_per_epoch, told)
  for index, loss in enumerate(losses):
    stagnation.see((index + 1) * every, {"loss": loss, "loss/wrt": loss})
  return told


LN2 = math.log(2)


@pytest.mark.parametrize(
  ("losses", "every", "noticed"),
  [
    ([LN2] * 4, 1, True),
    ([LN2 * 1.005, LN2, LN2 * 0.995, LN2], 1, True),
    ([LN2] * 3, 1, False),  # not yet an epoch
    ([LN2] * 3 + [0.6] + [LN2] * 3, 1, False),
    ([0.9, 0.6] + [LN2] * 4, 1, True),  # collapsed later
    ([LN2, LN2], 4, True),  # a line per epoch
    ([LN2], 8, False),  # one line tells of one step
    ([0.71] * 9, 1, False),
  ],
)
def test_a_term_at_its_trivial_value_for_an_epoch(losses, every, noticed):
  told = watch(losses, trivial={"wrt": LN2}, every=every)
  assert ("trivial_value/wrt" in told) == noticed
  if noticed:
    assert "loss/wrt has stayed at 0.69" in told["trivial_value/wrt"]


def test_a_term_of_weight_zero_is_no_sign():
  assert "trivial_value/wrt" not in watch([0.0] * 9, trivial={"wrt": 0.0})


@pytest.mark.parametrize(
  ("losses", "noticed"),
  [
    ([5.98, 6.02, 5.99, 6.01, 6.0, 6.01, 5.99, 6.0], True),
    ([6.0, 5.9, 5.8, 5.7, 5.6, 5.5, 5.4, 5.3], False),
    ([6.0] * 8, True),
    ([6.0] * 7, False),  # the second epoch is not over
    ([6.0, 5.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0], False),  # it has moved before
    ([6.0, 5.9, 5.8, 5.7] + [5.6] * 20, False),  # flat later is how runs end
  ],
)
def test_a_loss_that_has_not_moved(losses, noticed):
  told = watch(losses)
  assert list(told) == ["still_loss"] * noticed


def test_log_lines_need_not_meet_the_end_of_an_epoch():
  assert list(watch([6.0] * 7, steps_per_epoch=10, every=3)) == ["still_loss"]
  assert list(watch([6.0] * 6, steps_per_epoch=10, every=3)) == []


@pytest.mark.parametrize("name", losses.METRIC_LOSSES)
def test_trivial_values_are_what_the_losses_give_for_equal_features(name):
  features, labels = jnp.ones((6, 4)), jnp.array([0, 0, 1, 1, 2, 2])
  value = losses.metric_loss(name, features, labels, margin=0.3)
  assert float(value) == pytest.approx(losses.trivial_value(name, margin=0.3), rel=1e-4)


@pytest.mark.parametrize("name", methods.names())
def test_methods_name_terms_that_they_have(name):
  config = config_files.load(f"{name}_synthetic", "smoke")
  method = make_method(config, num_classes=3, steps_per_epoch=2)
  images = jnp.zeros((4, 48, 24, 3))
  batch = dict.fromkeys(("visible", "visible_2", "infrared"), images)
  batch["label"] = jnp.array([0, 0, 1, 1])
  key = jax.random.key(0)
  output = jax.eval_shape(
    lambda: method.loss(method.init(key, batch), batch, rngs=key, step=jnp.int32(0))
  )
  assert method.trivial_values and set(method.trivial_values) <= set(output.terms)


def test_a_run_that_learns_nothing_is_told_once(data_dir, tmp_path, capsys):
  config = toy_config.make(data_dir, steps=40, save=40, optimizer="sgd")
  config.optim.lr = 1e-30
  train.train(config, tmp_path)
  kept = manifest.read(tmp_path)["notices"]
  assert "still_loss" in {notice["key"] for notice in kept}
  assert capsys.readouterr().err.count("notice: the loss has not moved") == 1
