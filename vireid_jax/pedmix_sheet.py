"""Draws image pairs before and after PedMix.

  python -m vireid_jax.pedmix_sheet --config configs/tmpa_synthetic.py --out pairs.png

Each row is a pair of training images. The columns are the visible and the infrared image, their
regions (dark is outside), and both images under each mixing strategy. Columns that use masks appear
if the data set has masks, those with the network's region with --workdir.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.report.sheets.pedmix import draw_and_write


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), draw_and_write, arguments)


def _parser() -> app.Parser:
  parser = app.Parser(
    prog="python -m vireid_jax.pedmix_sheet",
    description="Draws image pairs before and after PedMix.",
    epilog=app.OVERRIDES,
  )
  parser.add_argument("--config", required=True, help="config of a run: FILE.py[:VARIANT]")
  parser.add_argument("--out", required=True, type=app.path, help="image to write, PNG")
  parser.add_argument("--pairs", type=app.positive, default=8, help="number of rows, at least 2")
  parser.add_argument("--ratio", type=float, default=0.5, help="share of the other modality")
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--scale", type=app.positive, default=1, help="magnification of the images")
  parser.add_argument(
    "--workdir", type=app.path, help="workdir of a run, to show the region that it attends to"
  )
  return parser


if __name__ == "__main__":
  app.start(main)
