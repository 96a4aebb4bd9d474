"""Optimisers with PyTorch's arithmetic, learning-rate schedules, parameter groups."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vireid_jax.common.durations import Clock, Duration, unit
from vireid_jax.common.errors import UserError, nearest, shown
from vireid_jax.common.options import Number, OneOf, Several, Table, Text

RULES = {
  "optim.name": OneOf("sgd", "adam", noun="optimiser"),
  "optim.lr": Number(0, 1e6),
  "optim.lr_multipliers": Table(Number(0, 1e6)),
  "optim.momentum": Number(0, 1, open_high=True),
  "optim.weight_decay": Number(0, 1),
  "optim.no_decay": Several(Text(empty=False)),
  "optim.update": OneOf("epoch", "step"),
  "optim.warmup": Duration(),
  "optim.decay_at": Several(Duration()),
  "optim.decay_to": Several(Number(0, 1e6)),
}

Schedule = Callable[[int], Any]


def make_schedule(config: Mapping[str, Any], clock: Clock) -> Schedule:
  """Builds the learning rate as a function of the step.

  Args:
    config: 'lr', the peak; 'warmup', a duration over which the rate climbs linearly; 'decay_at' and
      'decay_to', durations and the factors that hold from each of them on; 'update', 'epoch' to
      change the rate only between epochs as the published codes do, or 'step'.
    clock: for the durations.

  Returns:
    A function of an int step (traced or not) to a float32 scalar.

  Raises:
    UserError: for lists of different length, moments that do not ascend, or an unknown 'update'.
  """
  if config["update"] not in ("epoch", "step"):
    raise UserError(
      f"config.optim.update = {config['update']!r}; {nearest(config['update'], ('epoch', 'step'))}"
    )
  at, to = config["decay_at"], config["decay_to"]
  if len(at) != len(to):
    raise UserError(
      f"config.optim.decay_at has {len(at)} entries and decay_to {len(to)}; give one factor for "
      "each moment"
    )
  length = clock.steps_per_epoch if config["update"] == "epoch" else 1
  warmup = clock.steps(config["warmup"], key="optim.warmup")
  moments = [clock.steps(text, key="optim.decay_at") for text in at]
  # Different units cannot be compared before the length of an epoch is known.
  if len({unit(text) for text in at}) == 1 and moments != sorted(moments):
    raise UserError(
      f"config.optim.decay_at = {shown(tuple(at))} is not ascending; list the earliest first, with "
      "decay_to in the same order"
    )

  def schedule(step):
    start = step // length * length
    factor = jnp.minimum((start + length) / warmup, 1.0) if warmup else jnp.float32(1.0)
    for moment, value in zip(moments, to, strict=True):
      factor = jnp.where(start >= moment, value, factor)
    return jnp.asarray(config["lr"] * factor, jnp.float32)

  return schedule


def create(
  config: Mapping[str, Any], schedule: Schedule, *, no_decay: Iterable[str] = ()
) -> optax.GradientTransformation:
  """Builds the optimiser.

  Weight decay is L2 inside the gradient, before momentum or moments, as in PyTorch's SGD and Adam
  (not AdamW). The learning rate multiplies after the momentum.

  Args:
    config: 'name' ('sgd' or 'adam'), 'weight_decay', 'momentum', 'nesterov', 'no_decay' (names of
      parameters or modules without weight decay), 'lr_multipliers' (name -> factor on the learning
      rate; 0 freezes).
    schedule: from `make_schedule`.
    no_decay: the method's own names beside those of the config; see `methods.base.Method`.

  Raises:
    UserError: for an unknown optimiser.
  """
  rules = {"sgd": _sgd, "adam": lambda _: optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)}
  if config["name"] not in rules:
    raise UserError(f"unknown optimiser {config['name']!r}; {nearest(config['name'], rules)}")
  undecayed = (*config["no_decay"], *no_decay)

  def decayed(params):
    return _map_paths(lambda path, _: not _matches_any(path, undecayed), params)

  return optax.chain(
    optax.add_decayed_weights(config["weight_decay"], mask=decayed),
    rules[config["name"]](config),
    optax.scale_by_learning_rate(schedule),
    _scale_by_path(dict(config["lr_multipliers"])),
  )


def check_names(config: Mapping[str, Any], params: Any) -> None:
  """Raises UserError when a name in 'no_decay' or 'lr_multipliers' matches no parameter."""
  paths = jax.tree.leaves(_map_paths(lambda path, _: "/".join(path), params))
  for key in ("no_decay", "lr_multipliers"):
    for name in config[key]:
      if not any(_matches(path.split("/"), name) for path in paths):
        modules = {part for path in paths for part in path.split("/")}
        raise UserError(
          f"config.optim.{key}: no parameter is called {name!r}; {nearest(name, modules)}"
        )


def _sgd(config: Mapping[str, Any]) -> optax.GradientTransformation:
  return optax.trace(decay=config["momentum"], nesterov=config["nesterov"])


def _scale_by_path(multipliers: dict[str, float]) -> optax.GradientTransformation:
  def scale(path, update):
    for name, factor in multipliers.items():
      if _matches(path, name):
        return update * factor
    return update

  return optax.stateless(lambda updates, _: _map_paths(scale, updates))


def _map_paths(function: Callable[[list[str], Any], Any], tree: Any) -> Any:
  return jax.tree_util.tree_map_with_path(
    lambda path, leaf: function([str(getattr(key, "key", key)) for key in path], leaf), tree
  )


def _matches_any(path: list[str], names: Iterable[str]) -> bool:
  return any(_matches(path, name) for name in names)


def _matches(path: list[str], name: str) -> bool:
  """Whether the parts of `name`, split at '/', stand together somewhere in the path."""
  parts = name.split("/")
  return any(path[i : i + len(parts)] == parts for i in range(len(path)))
