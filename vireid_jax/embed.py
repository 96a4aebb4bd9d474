"""Writes the features of a folder of images.

  python -m vireid_jax.embed --checkpoint runs/mun --images photos --modality visible \\
    --out features.npz

The file has `features`, float32 [n, d], `names` (relative to the folder, sorted) and, as JSON text,
`facts` (modality, method, checkpoint, ...) and `skipped` (the files that are damaged or not images,
with the reason).
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app, output
from vireid_jax.common.records import MODALITIES
from vireid_jax.retrieval import features


def _parser() -> argparse.ArgumentParser:
  parser = app.parser("embed", "Writes the features of all images in a folder.")
  parser.add_argument(
    "--images", required=True, type=app.path, help="folder of images, searched recursively"
  )
  parser.add_argument(
    "--modality", required=True, choices=MODALITIES, help="modality of the images"
  )
  parser.add_argument("--out", required=True, type=app.path, help="file to write, .npz")
  parser.add_argument("--raw", action="store_true", help="do not L2-normalise features")
  parser.add_argument("--batch", type=int, default=64, help="images embedded at once, at most")
  parser.add_argument(
    "--shards",
    metavar="I/N",
    help="embed only share I of N, from 0, in a process or machine of its own; a later run of the "
    "same share continues it",
  )
  parser.add_argument(
    "--merge", action="store_true", help="join what all --shards wrote, without embedding"
  )
  output.add_format(parser)
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), _embed, arguments)


def _embed(options: argparse.Namespace) -> None:
  with output.reserved(options.format):
    text = features.embed(options)
  print(text)


if __name__ == "__main__":
  app.start(main)
