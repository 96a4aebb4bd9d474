"""Searches for people in a folder of images.

  python -m vireid_jax.search --checkpoint runs/mun --gallery photos --query night.png \\
    --query_modality infrared

Prints a ranked list per query and writes a page with the images. The gallery's features are kept in
an index file next to it, which the next search updates.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.common.records import MODALITIES
from vireid_jax.retrieval.search import search


def _parser() -> argparse.ArgumentParser:
  parser = app.parser("search", "Ranks a folder of images for each query.")
  path = {"required": True, "type": app.path}
  parser.add_argument("--gallery", **path, help="folder of images to search")
  parser.add_argument("--query", **path, help="an image, or a folder of images")
  parser.add_argument("--query_modality", required=True, choices=MODALITIES)
  parser.add_argument("--gallery_modality", choices=MODALITIES, default=MODALITIES[0])
  parser.add_argument("--top", type=int, default=10, help="length of each list")
  parser.add_argument(
    "--index", type=app.path, help="index file; default GALLERY.MODALITY.index.npz"
  )
  parser.add_argument("--out", default="search.html", help="page to write; '' for none")
  parser.add_argument("--batch", type=int, default=64, help="images embedded at once, at most")
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), search, arguments)


if __name__ == "__main__":
  app.start(main)
