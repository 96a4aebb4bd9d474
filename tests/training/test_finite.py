"""Numbers going wrong: the run stops, says which and when, and saves nothing of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import config as toy_config

from vireid_jax.common.errors import UserError
from vireid_jax.experiment import train
from vireid_jax.training import finite
from vireid_jax.training.checkpoint import Checkpoints
from vireid_jax.training.state import TrainState


def watch_of(rows):
  """Feeds one dictionary of scalars per step."""
  watch = finite.start()
  for step, scalars in enumerate(rows, start=1):
    watch = finite.notice(watch, step, {k: jnp.float32(v) for k, v in scalars.items()})
  return watch


def check(watch, names, **changes):
  finite.check(watch, names, **{"since": 2, "step": 4, "last_good": lambda: 2, **changes})


def test_the_first_bad_step_is_remembered_for_good():
  good, bad = {"loss": 1.0, "accuracy": 0.5}, {"loss": np.inf, "accuracy": 0.5}
  check(watch_of([good, good]), good)
  watch = watch_of([good, good, bad, {"loss": 1.0, "accuracy": np.nan}, good])
  with pytest.raises(UserError, match=r"steps 3 to 4: loss is not finite at step 3\. .* step 2;"):
    check(watch, good)
  with pytest.raises(UserError, match="No checkpoint exists yet"):
    check(watch, good, last_good=lambda: None)


def test_a_state_is_named_by_the_array():
  tree = {"params": {"a": jnp.ones(3), "b": jnp.array([1.0, jnp.nan])}, "step": jnp.int32(3)}
  with pytest.raises(UserError, match="step 3: params/b is not finite"):
    finite.check_state(tree, step=3, last_good=1)
  finite.check_state({"a": jnp.ones(2, jnp.bfloat16), "key": jnp.uint32(7)}, step=3, last_good=1)


def test_nan_in_a_term_stops_the_run_and_leaves_the_last_checkpoint(data_dir, tmp_path):
  # Neither logged nor saved at the bad step: the flag must still be there two steps later.
  config = toy_config.make(
    data_dir, method="toys.breaking", nan_at=3, steps=12, save=2, log=5, optimizer="sgd"
  )
  with pytest.raises(UserError) as caught:
    train.train(config, tmp_path)
  assert str(caught.value).startswith(
    "steps 3 to 4: grad_norm, loss, loss/fragile are not finite at step 3. "
    "The last good checkpoint is step 2;"
  )
  run = train.build(config, tmp_path)
  assert run.checkpoints.steps() == [2]
  kept = run.checkpoints.restore(2, run.abstract)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept))


def test_statistics_that_no_loss_reads_are_not_saved_either(data_dir, tmp_path):
  config = toy_config.make(
    data_dir, method="toys.breaking", nan_at=4, where="statistics", steps=6, save=2
  )
  with pytest.raises(UserError, match=r"step 4: .*/mean is not finite, though the losses were"):
    train.train(config, tmp_path)
  assert Checkpoints(tmp_path).steps() == [2]


def test_saving_refuses_what_is_not_finite(tmp_path):
  checkpoints = Checkpoints(tmp_path)
  state = TrainState(jnp.int32(1), {"a": jnp.full(2, jnp.inf)}, {}, ())
  with pytest.raises(UserError, match="No checkpoint exists yet"):
    checkpoints.save(1, state, {})
  assert checkpoints.complete() is None
