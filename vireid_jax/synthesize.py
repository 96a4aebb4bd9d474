"""Writes synthetic data sets in the original layouts, or a contact sheet of them."""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
import os
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.common.errors import printable
from vireid_jax.data.synthetic.synthesis import CONTACT_SHEET, DEFAULT_PRESET, WRITERS, run
from vireid_jax.data.synthetic.world import PRESETS

EXAMPLES = """examples:
  python -m vireid_jax.synthesize sysu_mm01 --out /tmp/sysu --preset smoke
  python -m vireid_jax.synthesize regdb --out /tmp/regdb --identities 20
  python -m vireid_jax.synthesize contact_sheet --out /tmp/people.png --preset full --seed 3
"""


def build_parser() -> argparse.ArgumentParser:
  """Returns the parser of the command line."""
  parser = app.Parser(
    prog="python -m vireid_jax.synthesize",
    description=__doc__,
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("what", help=f"{', '.join(WRITERS)} or {CONTACT_SHEET}")
  parser.add_argument(
    "--out", required=True, type=app.path, help="folder to write (contact_sheet: an image)"
  )
  parser.add_argument("--preset", default=DEFAULT_PRESET, help=f"one of {', '.join(PRESETS)}")
  parser.add_argument(
    "--identities", type=int, help="total number of identities; split in the preset's proportions"
  )
  parser.add_argument("--images_per_camera", type=int, help="images per identity and camera")
  parser.add_argument("--seed", type=int, help="seed of the synthetic world")
  parser.add_argument("--masks", action="store_true", help="also write silhouettes")
  parser.add_argument("--workers", type=app.positive, default=min(2, os.cpu_count() or 1))
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns its exit code."""

  def call(given: argparse.Namespace) -> None:
    print(printable(run(given)))

  return app.run(build_parser(), call, arguments, compiles=False)


if __name__ == "__main__":
  app.start(main)
