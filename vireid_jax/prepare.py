"""Turns a data set owner's files, or the renderer's pictures, into a prepared data set.

  python -m vireid_jax.prepare sysu_mm01 --manual_dir DIR
  python -m vireid_jax.prepare own --manual_dir DIR
  python -m vireid_jax.prepare vireid_synthetic/quick

The layout is checked first, then every image is decoded once, and only then is anything
written. A data set appears under its final name when it is complete, in one rename.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.data.preparing import prepare


def _parser() -> argparse.ArgumentParser:
  parser = app.Parser(
    prog="python -m vireid_jax.prepare", description="Prepares a data set for training."
  )
  parser.add_argument("name", help="sysu_mm01, regdb, llcm, own or vireid_synthetic/PRESET")
  parser.add_argument(
    "--manual_dir",
    type=app.place,
    help="folder with the owner's files (docs/datasets.md, own_data.md)",
  )
  parser.add_argument(
    "--data_dir",
    type=app.place,
    help="where prepared data sets go; default $TFDS_DATA_DIR or ~/tensorflow_datasets",
  )
  parser.add_argument(
    "--skip_corrupt", action="store_true", help="leave out images that do not decode"
  )
  parser.add_argument("--overwrite", action="store_true", help="prepare again")
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""

  def call(options: argparse.Namespace) -> None:
    prepare(**vars(options))

  return app.run(_parser(), call, arguments, compiles=False)


if __name__ == "__main__":
  app.start(main)
