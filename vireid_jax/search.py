"""Searches for people in a folder of images.

  python -m vireid_jax.search --checkpoint runs/mun --gallery photos --query night.png \\
    --query_modality infrared

Prints the ranked lists of up to five queries, or a summary, and writes a page with the images. The
gallery's features are kept in an index, which the next search updates.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app, output
from vireid_jax.common.records import MODALITIES
from vireid_jax.retrieval import search as search_lib
from vireid_jax.retrieval.engine_names import ENGINES, KINDS
from vireid_jax.retrieval.group_names import GROUPS


def _parser() -> argparse.ArgumentParser:
  parser = app.parser("search", "Ranks folders of images for each query.")
  path = {"required": True, "type": app.path}
  parser.add_argument(
    "--gallery",
    **path,
    nargs="+",
    action="extend",
    help="folder of images to search, or a file of embed, or several",
  )
  parser.add_argument("--query", **path, help="an image, or a folder of images")
  parser.add_argument("--query_modality", required=True, choices=MODALITIES)
  parser.add_argument("--gallery_modality", choices=MODALITIES, default=MODALITIES[0])
  parser.add_argument("--top", type=int, default=10, help="length of each list")
  parser.add_argument(
    "--min_similarity", type=float, metavar="COSINE", help="least similarity of a listed image"
  )
  parser.add_argument(
    "--exclude",
    metavar="RULES",
    help="images left out of a query's list: same_file, same_camera, same_folder; several are "
    "separated by commas",
  )
  parser.add_argument(
    "--cameras",
    metavar="PATTERN|TABLE.csv",
    help="camera of each image for same_camera: a regular expression for its path whose group is "
    "the camera, or a table with the columns path and camera",
  )
  parser.add_argument(
    "--index",
    type=app.path,
    help="folder of indexes, or a file ending in .npz; default a folder in ~/.cache/vireid_jax",
  )
  _add_groups_and_engines(parser)
  output.add_format(parser)
  parser.add_argument("--out", default="search.html", help="page to write; '' for none")
  parser.add_argument("--batch", type=int, default=64, help="images embedded at once, at most")
  return parser


def _add_groups_and_engines(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
    "--group",
    choices=GROUPS,
    help="rank tracks, or enrolled people, by the mean of their best pictures; show one of each",
  )
  parser.add_argument(
    "--groups", type=app.path, metavar="TABLE.csv", help="table with the columns path and --group"
  )
  parser.add_argument(
    "--false_accept_rate",
    type=float,
    metavar="RATE",
    help="accept or reject people at the threshold of the checkpoint's ROC with at most this rate",
  )
  parser.add_argument(
    "--engine",
    choices=ENGINES,
    default=ENGINES[0],
    help="exact compares with every picture; faiss finds candidates with an index",
  )
  parser.add_argument(
    "--faiss", choices=KINDS, help="kind of faiss index; default by the size of the gallery"
  )


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), _search, arguments)


def _search(options: argparse.Namespace) -> None:
  from vireid_jax.report import threshold_hint  # imports JAX: too slow for --help

  with output.reserved(options.format):
    text = search_lib.search(options, thresholds=threshold_hint.find)
  if text:
    print(text)


if __name__ == "__main__":
  app.start(main)
