"""Draws pairs before and after mixing, to look at.

  python -m vireid_jax.pedmix_sheet --config configs/tmpa_synthetic.py --out pairs.png

A row is a pair of the training data; the columns are the visible and the infrared image, the
regions of both (dark is outside), and then both images after each way of mixing. The mask and
what is made with it appear where the data set has masks, the network's own region with --workdir.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.report.sheets.pedmix import draw_and_write


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), draw_and_write, arguments)


def _parser() -> app.Parser:
  parser = app.Parser(
    prog="python -m vireid_jax.pedmix_sheet",
    description="Draws pairs before and after mixing.",
    epilog=app.OVERRIDES,
  )
  parser.add_argument("--config", required=True, help="config of a run: FILE.py[:VARIANT]")
  parser.add_argument("--out", required=True, type=app.place, help="the picture, PNG")
  parser.add_argument("--pairs", type=app.positive, default=8, help="rows, at least 2")
  parser.add_argument("--ratio", type=float, default=0.5, help="share of the other modality")
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument(
    "--scale", type=app.positive, default=1, help="side of a pixel in the picture"
  )
  parser.add_argument("--workdir", type=app.place, help="of a run, to show where it looks")
  return parser


if __name__ == "__main__":
  app.start(main)
