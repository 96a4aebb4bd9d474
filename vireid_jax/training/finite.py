"""Detects numbers that are not finite.

The scalars of every step (loss, terms, gradient norm, metrics) are checked on the device, which
also remembers the first step with a scalar that is not finite. Reading it waits for the device, so
it is read only where the run waits anyway: before each log line, save and evaluation. Parameters
and statistics are checked before each save.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vireid_jax.common import tree_paths
from vireid_jax.common.errors import UserError

# A fixed size, so that the shape does not depend on the method; a method has about ten scalars.
MOST_SCALARS = 128
MOST_NAMED = 5


@flax.struct.dataclass
class NonFiniteMonitor:
  """The first step that was not finite; replicated on all devices, carried from step to step.

  Attributes:
    step: int32 scalar, the first step with a scalar that is not finite; 0 if there is none.
    bad: bool [MOST_SCALARS], which scalars are not finite, sorted by name.
  """

  step: Array
  bad: Array


def start() -> NonFiniteMonitor:
  """Returns the initial monitor."""
  return NonFiniteMonitor(jnp.int32(0), jnp.zeros(MOST_SCALARS, bool))


def watched(step: Callable) -> Callable:
  """Adds the monitor to a training step.

  Args:
    step: (state, *inputs) -> (state, scalars).

  Returns:
    (state, watch, *inputs) -> (state, watch, scalars).
  """

  def watching(state, watch: NonFiniteMonitor, *inputs):
    state, scalars = step(state, *inputs)
    return state, notice(watch, state.step, scalars), scalars

  return watching


def notice(watch: NonFiniteMonitor, step: Array, scalars: Mapping[str, Array]) -> NonFiniteMonitor:
  """Updates the monitor: the first step whose scalars are not all finite is kept.

  Args:
    watch: Monitor before the step.
    step: int32 scalar, number of completed steps, including this one.
    scalars: At most `MOST_SCALARS` float scalars by name.
  """
  if len(scalars) > MOST_SCALARS:
    raise ValueError(f"{len(scalars)} scalars in a step; at most {MOST_SCALARS} are watched")
  values = jnp.stack([scalars[name] for name in sorted(scalars)])
  bad = jnp.pad(~jnp.isfinite(values), (0, MOST_SCALARS - len(scalars)))
  is_first = (watch.step == 0) & bad.any()
  return NonFiniteMonitor(
    jnp.where(is_first, step, watch.step), jnp.where(is_first, bad, watch.bad)
  )


def check(
  watch: NonFiniteMonitor,
  names: Iterable[str],
  *,
  since: int,
  step: int,
  last_good: Callable[[], int | None],
) -> None:
  """Raises UserError if a step was not finite; waits for the device.

  Args:
    watch: Monitor after `step` steps.
    names: Names of the scalars.
    since: Number of completed steps at the last check.
    step: Number of completed steps.
    last_good: Returns the step of the newest checkpoint, for the message.

  Raises:
    UserError: A scalar was not finite; names the first such step and its scalars.
  """
  first, bad = jax.device_get((watch.step, watch.bad))
  if not first:
    return
  found = [name for name, flag in zip(sorted(names), bad, strict=False) if flag]
  raise UserError(
    f"steps {since + 1} to {step}: {', '.join(found)} {_is(found)} not finite at step {first}. "
    f"{_advice(last_good())}"
  )


def check_state(tree: Any, *, step: int, last_good: int | None) -> None:
  """Raises UserError if a number of a state is not finite; reads the whole state.

  Args:
    tree: Tree of arrays; each process reads the shards on its own devices.
    step: Number of completed steps.
    last_good: Step of the newest checkpoint, for the message.

  Raises:
    UserError: Names the arrays that are not finite.
  """
  leaves = tree_paths.named_leaves(tree)
  found = [name for name, leaf in leaves.items() if not _is_finite(leaf)]
  if found:
    shown = ", ".join(found[:MOST_NAMED]) + (", ..." * (len(found) > MOST_NAMED))
    raise UserError(
      f"step {step}: {shown} {_is(found)} not finite, though the losses were. {_advice(last_good)}"
    )


def _is_finite(leaf: Array) -> bool:
  if not jnp.issubdtype(leaf.dtype, jnp.floating):
    return True
  # In NumPy: compiling a reduction for every shape would take longer than all saves of a run.
  parts = [shard.data for shard in leaf.addressable_shards if shard.replica_id == 0]
  parts = parts or [leaf.addressable_shards[0].data]
  return all(np.isfinite(np.asarray(part)).all() for part in parts)


def _is(names: list[str]) -> str:
  return "is" if len(names) == 1 else "are"


def _advice(last_good: int | None) -> str:
  kept = (
    "No checkpoint exists yet"
    if last_good is None
    else f"The last good checkpoint is step {last_good}"
  )
  return f"{kept}; lower optim.lr or lengthen optim.warmup, and start the command again"
