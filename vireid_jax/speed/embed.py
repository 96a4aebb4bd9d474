"""Benchmark of embedding with the networks of some configs, next to PyTorch's."""

import argparse
import time

import jax

from vireid_jax.common.errors import UserError
from vireid_jax.common.records import MODALITIES
from vireid_jax.evaluators.embed import (
  feature_methods,
  goes_in_pieces,
  jitted,
  retrieval_function,
)
from vireid_jax.runtime import mesh as mesh_lib
from vireid_jax.speed import comparison, setting
from vireid_jax.speed.turns import Side
from vireid_jax.training import first_state

# How `benchmark` describes the numbers.
text, columns, rows = comparison.text, comparison.columns, comparison.rows

MODALITY = MODALITIES[0]  # both modalities cost the same


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of the benchmark."""
  setting.add_arguments(parser)
  parser.add_argument("--batch", type=int, default=16, help="images per batch")


def run(options: argparse.Namespace) -> dict:
  """Compiles the embedding of each config, and times them in turn.

  Returns:
    The numbers from `comparison.compare`.
  """
  if options.batch < 1:
    raise UserError(f"--batch is {options.batch}; it must be at least 1")
  return comparison.compare(options, prepare, baseline="embed_side")


def prepare(path: str, options: argparse.Namespace) -> Side:
  """Builds and compiles a config's embedding as evaluation does, for random images."""
  config = setting.load(path, options)
  method = setting.create_method(config, options.identities)
  optimizer, mesh = setting.create_optimizer(config, method), mesh_lib.make_mesh()
  variables = first_state.draw_random(
    config.data.image_size, config.seed, method, optimizer, mesh
  ).variables
  images = setting.on_devices({"images": setting.random_images(config, options.batch)})["images"]
  what = feature_methods(method, config.eval.features), MODALITY, config.augment[MODALITY]
  embed = jitted(*what, mesh, flip=config.eval.flip)
  plain = retrieval_function(*what, flip=config.eval.flip)
  written = jax.jit(plain).lower(variables, images)  # a loop would be counted only once
  started = time.perf_counter()
  compiled = embed.lower(variables, images).compile()
  seconds = time.perf_counter() - started

  def call() -> None:
    jax.block_until_ready(compiled(variables, images))

  facts = {"dtype": setting.compute_dtype(config), **comparison.facts(written, compiled, seconds)}
  if goes_in_pieces(options.batch, mesh):
    facts["bytes"] = None
  return Side(path, call, images=options.batch, facts=facts)
