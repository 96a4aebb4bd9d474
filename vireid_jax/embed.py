"""Features of any folder of pictures.

  python -m vireid_jax.embed --checkpoint runs/mun --images photos --modality visible \\
    --out features.npz

The file holds `features` float32 [n, d], `names` (relative to the folder, sorted), and, as JSON
text, `facts` (modality, method, checkpoint, ...) and `skipped` (the reason by name of each file
that is no picture, or damaged).
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.common.records import MODALITIES
from vireid_jax.retrieval.features import embed


def _parser() -> argparse.ArgumentParser:
  parser = app.parser("embed", "Writes the features of all pictures below a folder.")
  parser.add_argument(
    "--images", required=True, type=app.place, help="folder of pictures, searched recursively"
  )
  parser.add_argument(
    "--modality", required=True, choices=MODALITIES, help="the camera that took the pictures"
  )
  parser.add_argument("--out", required=True, type=app.place, help="file to write, .npz")
  parser.add_argument("--raw", action="store_true", help="do not scale features to unit length")
  parser.add_argument("--batch", type=int, default=64, help="pictures at once, at most")
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), embed, arguments)


if __name__ == "__main__":
  app.start(main)
