"""Search for people in a folder of pictures.

  python -m vireid_jax.search --checkpoint runs/mun --gallery photos --query night.png \\
    --query_modality infrared

Prints the ranked list of each query and writes a page with the pictures. The features of the
gallery are kept in an index file beside it and brought up to date by the next search.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.common.records import MODALITIES
from vireid_jax.retrieval.search import search


def _parser() -> argparse.ArgumentParser:
  parser = app.parser("search", "Ranks the pictures of a folder for each query picture.")
  place = {"required": True, "type": app.place}
  parser.add_argument("--gallery", **place, help="folder of pictures to search in")
  parser.add_argument("--query", **place, help="a picture, or a folder of them")
  parser.add_argument("--query_modality", required=True, choices=MODALITIES)
  parser.add_argument("--gallery_modality", choices=MODALITIES, default=MODALITIES[0])
  parser.add_argument("--top", type=int, default=10, help="length of the lists")
  parser.add_argument(
    "--index", type=app.place, help="index file; default GALLERY.MODALITY.index.npz beside it"
  )
  parser.add_argument("--out", default="search.html", help="page to write; '' for none")
  parser.add_argument("--batch", type=int, default=64, help="pictures embedded at once, at most")
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), search, arguments)


if __name__ == "__main__":
  app.start(main)
