"""Converts a data set's original files, or rendered images, to a prepared data set.

  python -m vireid_jax.prepare sysu_mm01 --manual_dir DIR
  python -m vireid_jax.prepare own --manual_dir DIR
  python -m vireid_jax.prepare vireid_synthetic/quick

The layout is checked and every image is decoded before anything is written. A data set appears
under its final name only when it is complete.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

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
    type=app.path,
    help="folder with the original files (docs/datasets.md, own_data.md)",
  )
  parser.add_argument(
    "--data_dir",
    type=app.path,
    help="root of the prepared data sets; default $TFDS_DATA_DIR or ~/tensorflow_datasets",
  )
  parser.add_argument(
    "--skip_corrupt", action="store_true", help="leave out images that cannot be decoded"
  )
  parser.add_argument("--overwrite", action="store_true", help="prepare again and replace")
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""

  def call(options: argparse.Namespace) -> None:
    prepare(**vars(options))

  return app.run(_parser(), call, arguments, compiles=False)


if __name__ == "__main__":
  app.start(main)
