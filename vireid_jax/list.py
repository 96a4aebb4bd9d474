"""Lists methods, configs, data sets and protocols by name.

python -m vireid_jax.list
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app, listing, output
from vireid_jax.common import formats
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
  output.add_format(parser)

  def call(given: argparse.Namespace) -> None:
    print(_keys(given.format) if given.what else _names(given.format, given.data_dir))

  return app.run(parser, call, arguments, compiles=False)


def _keys(form: str) -> str:
  if form == formats.TABLE:
    return reference.markdown()
  return formats.written(form, "list config", reference.COLUMNS, reference.entries())


def _names(form: str, data_dir: str | None) -> str:
  rows = listing.entries(data_dir)
  if form == formats.TABLE:
    return listing.listing(rows)
  return formats.written(form, "list", listing.COLUMNS, rows)


if __name__ == "__main__":
  app.start(main)
