"""The flags of `vireid plan`, and what it does."""

import argparse
import pathlib
import sys
from collections.abc import Iterator

from ml_collections import ConfigDict

from vireid_jax import config as config_lib
from vireid_jax.common import progress
from vireid_jax.common.errors import UserError
from vireid_jax.config import arguments, checks
from vireid_jax.models.numerics import DTYPES
from vireid_jax.speed.plan import facts, programs, table, targets
from vireid_jax.speed.plan.stored import StoredPlans
from vireid_jax.training.gradients import REMAT

CLASSES = 395  # SYSU-MM01's training identities


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags."""
  parser.add_argument(
    "--target",
    action="append",
    required=True,
    metavar="CHIP[:SLICE]",
    help="hardware to compile for, such as v5e, v5e:4x4, v5p:2x2x1, h100:8, cpu:4; repeat for more",
  )
  parser.add_argument(
    "--what", choices=tuple(programs.PROGRAMS), default="step", help="program; default step"
  )
  parser.add_argument("--dtype", choices=DTYPES, help="compute dtype; default: the config's")
  parser.add_argument("--remat", choices=REMAT, help="train.remat; default: the config's")
  parser.add_argument("--accumulate", type=int, help="train.accumulate; default: the config's")
  parser.add_argument(
    "--largest_batch", action="store_true", help="search the largest batch that fits"
  )
  parser.add_argument("--classes", type=int, default=CLASSES, help="training identities")
  parser.add_argument(
    "--json",
    type=pathlib.Path,
    help="file of all numbers; what it holds of unchanged programs is not compiled again",
  )


def run(options: argparse.Namespace) -> list[facts.Plan]:
  """Plans all configs on all targets, prints a table, and returns the plans."""
  if options.largest_batch and options.what != "step":
    raise UserError(f"--largest_batch is about training steps; leave out --what {options.what}")
  stored = StoredPlans(options.json)
  wanted = [targets.parse(name) for name in dict.fromkeys(options.target)]
  targets.prepare(wanted)  # before JAX is used, by the configs' checks too
  configs = {name: _load(name, options) for name in arguments.configs(options)}
  plans = list(_plans(configs, wanted, options, stored))
  print(table.document(plans))
  return plans


def _load(name: str, options: argparse.Namespace) -> ConfigDict:
  config = config_lib.load(name, options.overrides)
  if options.dtype:
    config.numerics.dtype = options.dtype
  if options.remat:
    config.train.remat = options.remat
  if options.accumulate:
    config.train.accumulate = options.accumulate
  checks.validate(config)
  return config


def _plans(configs, wanted, options, stored: StoredPlans) -> Iterator[facts.Plan]:
  pairs = [(name, target) for name in configs for target in wanted]
  with progress.show("planning", len(pairs)) as planning:
    for index, (name, target) in enumerate(pairs, 1):
      if not progress.draws():
        said = f"compiling {name} for {target.name} ({index} of {len(pairs)})"
        print(said, file=sys.stderr, flush=True)
      with progress.part(f"compiling {name} for {target.name}"):
        made = _plan(name, configs[name], target, options, stored.find)
      planning.advance()
      for plan in made:
        if stored.find(plan) is None:
          stored.add(plan)
        yield plan


def _plan(name: str, config: ConfigDict, target, options, find) -> list[facts.Plan]:
  if options.largest_batch:
    return facts.largest_batch(name, config, target, options.classes, find)
  return [facts.plan(name, config, target, options.what, options.classes, find)]
