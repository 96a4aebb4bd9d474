"""Prints the parameters and operations of configs.

  python -m vireid_jax.cost configs/tmpa_sysu.py:base configs/tmpa_sysu.py

Nothing is computed, and no data set is needed. Training parameters include the classifiers; test
parameters are those that the feature of an image of one modality depends on.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app, output
from vireid_jax.common import formats
from vireid_jax.config.arguments import add_configs, configs
from vireid_jax.speed import cost as cost_lib

DEFAULT_CLASSES = 395  # SYSU-MM01's training identities


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  parser = app.Parser(prog="python -m vireid_jax.cost", description=__doc__)
  add_configs(parser)
  parser.add_argument(
    "--classes", type=app.positive, default=DEFAULT_CLASSES, help="training identities"
  )
  output.add_format(parser)

  def call(given: argparse.Namespace) -> None:
    with output.reserved(given.format):
      costs = {
        path: cost_lib.cost_of(path, given.classes, given.overrides) for path in configs(given)
      }
    if given.format == formats.TABLE:
      print(cost_lib.table(costs))
    else:
      print(formats.written(given.format, "cost", cost_lib.COLUMNS, cost_lib.rows(costs)))

  return app.run(parser, call, arguments)


if __name__ == "__main__":
  app.start(main)
