"""Compiles configs for GPUs and TPUs that are not here, and prints what they would need.

  python -m vireid_jax.plan configs/mun_sysu.py --target v5e:4x4 --target h100:8

Does the training step compile, does it fit into memory, what does it compute, move and send, and
how long does the TPU compiler expect it to take. Targets: v4, v5e, v5p, v6e for one chip, with :4x4
or :2x2x1 for a slice; a100, h100, h200 and cpu with :N for a number of devices.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.config.arguments import add_configs
from vireid_jax.speed.plan import command


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  parser = app.Parser(prog="python -m vireid_jax.plan", description=__doc__)
  add_configs(parser)
  command.add_arguments(parser)

  def call(given: argparse.Namespace) -> None:
    command.run(given)

  return app.run(parser, call, arguments)


if __name__ == "__main__":
  app.start(main)
