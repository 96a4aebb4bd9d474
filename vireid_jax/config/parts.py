"""Builds the components of training and evaluation from a config."""

from collections.abc import Mapping

import optax
from ml_collections import ConfigDict

from vireid_jax import methods
from vireid_jax.common.durations import Clock
from vireid_jax.common.errors import UserError
from vireid_jax.data.corruptions import Corruption
from vireid_jax.data.training.augment import make_augment, make_augment_pair
from vireid_jax.evaluators import protocols, transductive
from vireid_jax.evaluators import suite as suite_lib
from vireid_jax.evaluators.affinity import Affinity
from vireid_jax.evaluators.multi_spectral import MultiSpectral
from vireid_jax.evaluators.reranking import Reranking
from vireid_jax.methods.base import Method
from vireid_jax.models.numerics import Numerics
from vireid_jax.training import gradients, optim, step

NOT_MIXED = (*transductive.TECHNIQUES, "mixed")  # options that the mixed protocol refuses


def make_method(config: Mapping, *, num_classes: int, steps_per_epoch: int) -> Method:
  """Builds the method of a config or of plain dictionaries; see `methods.create`."""
  return methods.create(
    config["method"],
    num_classes=num_classes,
    steps_per_epoch=steps_per_epoch,
    numerics=Numerics(**config["numerics"]),
  )


def make_suite(config: ConfigDict) -> suite_lib.Suite:
  """Builds the evaluation suite of `config.eval`.

  Raises:
    UserError: Unknown protocol, or an argument out of range.
  """
  protocol = config.eval.protocol.to_dict()
  refused = [f"config.eval.{name}" for name in NOT_MIXED if config.eval[name]]
  if protocol["name"] == "mixed" and refused:
    raise UserError(
      "config.eval.protocol.name = 'mixed' has no re-ranked or other transductive results and "
      f"cannot be combined with itself; set {' and '.join(refused)} to False"
    )
  return suite_lib.Suite(
    protocols.create(protocol.pop("name"), **protocol),
    normalize=config.eval.normalize,
    flip=config.eval.flip,
    rerank=Reranking(**config.eval.rerank_options) if config.eval.rerank else None,
    affinity=Affinity(**config.eval.affinity_options) if config.eval.affinity else None,
    mser=MultiSpectral(**config.eval.mser_options) if config.eval.mser else None,
    mixed=config.eval.mixed,
  )


def make_corruptions(config: ConfigDict) -> list[Corruption]:
  """Builds the corruptions of `config.eval`; copy i has seed `seed` + i."""
  options = config.eval.corruption
  return [
    Corruption(tuple(options.kinds), tuple(options.severities), options.seed + draw)
    for draw in range(options.draws)
  ]


def make_clock(config: ConfigDict, steps_per_epoch: int) -> Clock:
  """Returns the clock that converts the config's durations to steps.

  Args:
    config: Config; its `train.steps_per_epoch` takes precedence unless it is 0.
    steps_per_epoch: Number of steps in an epoch of the sampler.
  """
  pairs = config.sampler.num_identities * config.sampler.num_instances
  return Clock(config.train.steps_per_epoch or steps_per_epoch, 2 * pairs)


def make_optimizer(
  config: ConfigDict, method: Method, clock: Clock
) -> tuple[optim.Schedule, optax.GradientTransformation]:
  """Builds the learning-rate schedule and the optimiser of a config.

  Raises:
    UserError: Unknown name, or a value out of range.
  """
  schedule = optim.make_schedule(config.optim, clock)
  no_decay = getattr(method, "no_decay", ())
  return schedule, optim.create(config.optim, schedule, no_decay=no_decay)


def build_step(
  config: ConfigDict,
  method: Method,
  optimizer: optax.GradientTransformation,
  *,
  unroll: bool = False,
) -> step.TrainStep:
  """Builds the pure training step of a config, for training and benchmarks.

  Args:
    config: Config of the run.
    method: The config's method.
    optimizer: The config's optimiser.
    unroll: Unroll the loop over blocks of an accumulated batch; see `gradients.make`.
  """
  return step.make_train_step(
    method,
    optimizer,
    make_augment(config.augment),
    seed=config.seed,
    augment_pair=make_augment_pair(config.augment.pair),
    gradient=gradients.make(
      method,
      remat=config.train.remat,
      accumulate=config.train.accumulate,
      images=config.sampler.num_instances,
      unroll=unroll,
    ),
  )
