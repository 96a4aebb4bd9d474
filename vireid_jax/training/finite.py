"""Noticing numbers that stop being finite.

Every step's scalars (loss, terms, gradient norm, metrics) are tested on the device, and the first
step at which one of them is not finite is remembered there. Reading that memory waits for the
device, so it is read only where the run waits anyway: before every log line, save and evaluation.
The parameters and statistics themselves are tested before every save.
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

# A fixed size, so that the memory's shape does not depend on the method; a method has about ten.
MOST_SCALARS = 128
MOST_NAMED = 5


@flax.struct.dataclass
class NonFiniteMonitor:
  """What was noticed so far; replicated on all devices, carried from step to step.

  Attributes:
    step: int32 scalar, the first step at which a scalar was not finite; 0 while there is none.
    bad: bool [MOST_SCALARS], which scalars that were, in sorted order of their names.
  """

  step: Array
  bad: Array


def start() -> NonFiniteMonitor:
  """Returns the memory of a run that has noticed nothing."""
  return NonFiniteMonitor(jnp.int32(0), jnp.zeros(MOST_SCALARS, bool))


def watched(step: Callable) -> Callable:
  """Adds the memory to a training step.

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
  """Remembers a step whose scalars are not all finite, unless an earlier one is remembered.

  Args:
    watch: so far.
    step: int32 scalar, steps completed with this one.
    scalars: at most `MOST_SCALARS` float scalars by name.
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
  """Raises when a step was noticed; waits for the device.

  Args:
    watch: after `step` steps.
    names: of the scalars.
    since: steps completed when it was last checked.
    step: steps completed now.
    last_good: gives the step of the newest checkpoint, for the message.

  Raises:
    UserError: names the steps in question, the first bad one, and its scalars.
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
  """Raises when a number of a state is not finite; reads all of it.

  Args:
    tree: of arrays; this process reads the parts on its own devices.
    step: steps completed.
    last_good: step of the newest checkpoint, for the message.

  Raises:
    UserError: names the arrays.
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
  # In NumPy: compiling a reduction of every shape would take longer than all saves of a run.
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
