"""Optimisers with PyTorch's arithmetic, learning-rate schedules and parameter groups."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import optax

from vireid_jax.common import tree_paths
from vireid_jax.common.durations import Clock, Duration, unit
from vireid_jax.common.errors import UserError, choose, nearest, shown
from vireid_jax.common.options import Number, OneOf, Several, Table, Text

UPDATES = ("epoch", "step", "late_step")
RULES = {
  "optim.name": OneOf("sgd", "adam", "adamw", noun="optimiser"),
  "optim.lr": Number(0, 1e6),
  "optim.lr_multipliers": Table(Number(0, 1e6)),
  "optim.momentum": Number(0, 1, open_high=True),
  "optim.weight_decay": Number(0, 1),
  "optim.no_decay": Several(Text(empty=False)),
  "optim.schedule": OneOf("steps", "cosine", "one_cycle"),
  "optim.update_every": OneOf(UPDATES),
  "optim.warmup": Duration(),
  "optim.warmup_from": Number(0, 1),
  "optim.decay_at": Several(Duration()),
  "optim.decay_to": Several(Number(0, 1e6)),
}

Schedule = Callable[[int], Any]


def make_schedule(config: Mapping[str, Any], clock: Clock) -> Schedule:
  """Builds the learning rate as a function of the step.

  The rate is 'lr' times a factor. With n completed steps (or epochs) and m = n + 1:
    'steps': rises to 1 as m / warmup; the factor is decay_to[i] from decay_at[i] on.
    'cosine': rises to 1 as m / warmup while m < warmup, then follows
      end + (1 - end) (1 + cos(pi m / decay_at[0])) / 2 with end = decay_to[0]. The cosine counts
      from the first step, not from the end of the warm-up.
    'one_cycle': a triangle through (0, warmup_from), (warmup, 1), (decay_at[0], decay_to[0]),
      evaluated at n: the first step has warmup_from.
  The warm-up starts at 'warmup_from'. After decay_at[0] the factor stays decay_to[0].

  Args:
    config: 'lr', the peak; 'schedule', one of `SCHEDULES`; 'warmup', a duration; 'warmup_from', a
      factor; 'decay_at' and 'decay_to', durations and factors, one of each unless the schedule is
      'steps'; 'update_every', 'epoch' to change the rate only between epochs as most published code
      does, 'step', or 'late_step', as one published loop does: in epochs of L steps it has a table
      of L - 1 rates, from which step b takes entry b - 1, and the first step the last one.
    clock: Converts durations to steps.

  Returns:
    A function from an int step (traced or not) to a float32 scalar.

  Raises:
    UserError: The lists differ in length, the moments do not ascend, 'schedule' or 'update_every'
      is unknown, or 'cosine' or 'one_cycle' does not have exactly one moment.
  """
  _check_schedule(config)
  read_at, length = _reader(config["update_every"], clock.steps_per_epoch)
  warmup = clock.steps(config["warmup"], key="optim.warmup")
  moments = [clock.steps(text, key="optim.decay_at") for text in config["decay_at"]]
  _check_moments(config, warmup, moments)
  factor = SCHEDULES[config["schedule"]](
    _climb(warmup, config["warmup_from"]), warmup, moments, config["decay_to"], length
  )

  def schedule(step):
    return jnp.asarray(config["lr"] * factor(read_at(step)), jnp.float32)

  return schedule


def _reader(update: str, epoch: int) -> tuple[Schedule, int]:
  """Returns where a step reads the factor, in steps, and how many steps one value holds."""
  if update == "epoch":
    return lambda step: step // epoch * epoch, epoch
  if update == "step":
    return lambda step: step, 1
  table = max(epoch - 1, 1)
  return lambda step: step // epoch * epoch + (step % epoch - 1) % table * (epoch / table), 1


def _steps(
  climb: Schedule, warmup: int, moments: list[int], to: Sequence[float], length: int
) -> Schedule:
  """A constant factor from each moment on."""
  del warmup

  def first(start):
    return climb(start + length)

  return optax.join_schedules([first, *map(optax.constant_schedule, to)], moments)


def _cosine(
  climb: Schedule, warmup: int, moments: list[int], to: Sequence[float], length: int
) -> Schedule:
  """Half a cosine that counts from the first step."""
  fall = optax.cosine_decay_schedule(1.0, moments[0], alpha=to[0])
  factor = optax.join_schedules([climb, lambda since: fall(since + warmup)], [warmup])
  return lambda start: factor(start + length)


def _one_cycle(
  climb: Schedule, warmup: int, moments: list[int], to: Sequence[float], length: int
) -> Schedule:
  """A linear rise and a linear fall."""
  del length
  # Durations of different units may turn out to be in the wrong order; then the fall takes one
  # step.
  fall = optax.linear_schedule(1.0, to[0], max(moments[0] - warmup, 1))
  return optax.join_schedules([climb, fall], [warmup])


SCHEDULES = {"steps": _steps, "cosine": _cosine, "one_cycle": _one_cycle}


def _climb(warmup: int, low: float) -> Schedule:
  """The factor during the warm-up: linear from `low` to 1, then 1."""

  def climb(count):
    share = jnp.minimum(count / warmup, 1.0) if warmup else jnp.float32(1.0)
    return low + (1 - low) * share if low else share

  return climb


def _check_schedule(config: Mapping[str, Any]) -> None:
  for key, known in (("schedule", SCHEDULES), ("update_every", UPDATES)):
    choose(config[key], known, said=f"config.optim.{key} = {config[key]!r}")
  at, to = config["decay_at"], config["decay_to"]
  if len(at) != len(to):
    raise UserError(
      f"config.optim.decay_at has {len(at)} entries and decay_to {len(to)}; give one factor for "
      "each moment"
    )
  if config["schedule"] == "steps":
    return
  if len(at) != 1:
    raise UserError(
      f"config.optim.decay_at = {shown(tuple(at))}; config.optim.schedule = "
      f"{config['schedule']!r} needs one moment, at which the rate reaches its end, and one "
      "factor; for example decay_at = ('80 epochs',) and decay_to = (0.0,)"
    )


def _check_moments(config: Mapping[str, Any], warmup: int, moments: list[int]) -> None:
  at, kind = config["decay_at"], config["schedule"]
  # Different units cannot be compared before the length of an epoch is known.
  if len({unit(text) for text in at}) == 1 and moments != sorted(moments):
    raise UserError(
      f"config.optim.decay_at = {shown(tuple(at))} is not ascending; list the earliest first, with "
      "decay_to in the same order"
    )
  if kind == "steps":
    return
  same = len({unit(text) for text in (*at, config["warmup"])}) == 1
  if not moments[0] or (same and moments[0] < warmup):
    raise UserError(
      f"config.optim.decay_at = {shown(tuple(at))} is not after the end of config.optim.warmup = "
      f"{config['warmup']!r}; with config.optim.schedule = {kind!r} it is the moment at which the "
      "rate reaches its end; give a later one"
    )
  if (
    kind == "one_cycle"
    and warmup
    and not config["warmup_from"]
    and config["update_every"] == "epoch"
  ):
    raise UserError(
      "config.optim.warmup_from = 0 gives the whole first epoch the rate 0, with "
      "config.optim.schedule = 'one_cycle' and update = 'epoch'; allowed: more than 0, for example "
      "0.0001; or set config.optim.update_every to 'step'"
    )


def create(
  config: Mapping[str, Any], schedule: Schedule, *, no_decay: Iterable[str] = ()
) -> optax.GradientTransformation:
  """Builds the optimiser.

  Weight decay is L2 inside the gradient, before momentum or moments, as in PyTorch's SGD and Adam;
  'adamw' instead adds it after the moments, so that it shrinks a weight by the learning rate times
  'weight_decay', as in PyTorch's AdamW. The learning rate multiplies after the momentum.

  Args:
    config: 'name' ('sgd', 'adam' or 'adamw'), 'weight_decay', 'momentum', 'nesterov', 'no_decay'
      (names of parameters or modules without weight decay), 'lr_multipliers' (name -> factor on the
      learning rate; 0 freezes; of several modules around a parameter the innermost counts).
    schedule: Schedule from `make_schedule`.
    no_decay: Further names without weight decay, from the method; see `methods.base.Method`.

  Raises:
    UserError: An unknown optimiser.
  """
  rules = {"sgd": _sgd, "adam": _adam, "adamw": _adam}
  rule = choose(config["name"], rules, "optimiser")(config)
  undecayed = (*config["no_decay"], *no_decay)

  def decayed(params):
    return tree_paths.map_named(lambda path, _: not _matches_any(path, undecayed), params)

  decay = optax.add_decayed_weights(config["weight_decay"], mask=decayed)
  return optax.chain(
    *((rule, decay) if config["name"] == "adamw" else (decay, rule)),
    optax.scale_by_learning_rate(schedule),
    _scale_by_path(dict(config["lr_multipliers"])),
  )


def check_names(config: Mapping[str, Any], params: Any) -> None:
  """Raises UserError when a name in 'no_decay' or 'lr_multipliers' matches no parameter."""
  paths = tree_paths.named_leaves(params)
  for key in ("no_decay", "lr_multipliers"):
    for name in config[key]:
      if not any(_matches(path, name) for path in paths):
        modules = {part for path in paths for part in path.split("/")}
        raise UserError(
          f"config.optim.{key}: no parameter is called {name!r}; {nearest(name, modules)}"
        )


def _sgd(config: Mapping[str, Any]) -> optax.GradientTransformation:
  return optax.trace(decay=config["momentum"], nesterov=config["nesterov"])


def _adam(config: Mapping[str, Any]) -> optax.GradientTransformation:
  del config
  return optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)


def _scale_by_path(multipliers: dict[str, float]) -> optax.GradientTransformation:
  def scale(path, update):
    names = [name for name in multipliers if _matches(path, name)]
    if not names:
      return update
    return update * multipliers[max(names, key=lambda name: (_end(path, name), len(name)))]

  return optax.stateless(lambda updates, _: tree_paths.map_named(scale, updates))


def _matches_any(path: str, names: Iterable[str]) -> bool:
  return any(_matches(path, name) for name in names)


def _matches(path: str, name: str) -> bool:
  """Returns whether a path such as 'a/b/c' contains a name such as 'b/c' as whole components."""
  return f"/{name}/" in f"/{path}/"


def _end(path: str, name: str) -> int:
  """Where a name that matches a path ends in it: later, the deeper the module that it names."""
  return f"/{path}/".rindex(f"/{name}/") + len(name)
