"""Lists methods, configs, data sets and protocols by name.

python -m vireid_jax.list
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.cli.listing import listing
from vireid_jax.config import reference


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  parser = app.Parser(
    prog="python -m vireid_jax.list",
    description="Lists methods, configs, data sets (prepared or not) and protocols.",
  )
  parser.add_argument(
    "what", nargs="?", choices=("config",), help="print the reference of all config keys instead"
  )
  parser.add_argument(
    "--data_dir",
    type=app.path,
    help="root of the prepared data sets; default $TFDS_DATA_DIR or ~/tensorflow_datasets",
  )

  def call(given: argparse.Namespace) -> None:
    print(reference.markdown() if given.what else listing(given.data_dir))

  return app.run(parser, call, arguments, compiles=False)


if __name__ == "__main__":
  app.start(main)
