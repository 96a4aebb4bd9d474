"""Benchmark of whole training steps: time, operations and memory, next to PyTorch's."""

import argparse
import time

import jax

from vireid_jax.config import parts
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.speed import comparison, setting
from vireid_jax.speed.turns import Side
from vireid_jax.training import first_state

# How `benchmark` describes the numbers.
text, columns, rows = comparison.text, comparison.columns, comparison.rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of the benchmark."""
  setting.add_arguments(parser)
  setting.add_batch_argument(parser)


def run(options: argparse.Namespace) -> dict:
  """Compiles the step of each config, and times them in turn.

  Returns:
    The numbers from `comparison.compare`.
  """
  return comparison.compare(options, prepare, baseline="train_side")


def prepare(path: str, options: argparse.Namespace) -> Side:
  """Builds and compiles a config's step as `train` does, for random images."""
  config = setting.load(path, options)
  method = setting.create_method(config, options.identities)
  optimizer, mesh = setting.create_optimizer(config, method), mesh_lib.make_mesh()
  state = first_state.draw_random(config.data.image_size, config.seed, method, optimizer, mesh)
  batch = setting.on_devices(setting.random_batch(config, options.identities))
  started = time.perf_counter()
  written = lower(config, method, optimizer, state, batch)
  compiled = fused = written.compile()
  seconds = time.perf_counter() - started
  if config.train.accumulate > 1:
    written = lower(config, method, optimizer, state, batch, unroll=True)
    fused = written.compile()

  def call() -> None:
    nonlocal state
    state, scalars = compiled(state, batch)
    jax.block_until_ready((state, scalars))

  facts = {
    "dtype": setting.compute_dtype(config),
    **comparison.facts(written, compiled, seconds, fused=fused),
  }
  return Side(path, call, images=2 * len(batch["label"]), facts=facts)


def lower(config, method, optimizer, state, batch, *, unroll: bool = False) -> jax.stages.Lowered:
  """Lowers the training step, including `train.remat` and `train.accumulate`.

  Args:
    config, method, optimizer: As in `parts.build_step`.
    state, batch: Arrays or shapes.
    unroll: Whether to unroll the loop over blocks, of which the compiler counts only one iteration.
  """
  step = parts.build_step(config, method, optimizer, unroll=unroll)
  return jax.jit(step, donate_argnums=0).lower(state, batch)
