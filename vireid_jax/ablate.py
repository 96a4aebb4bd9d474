"""Trains variants of a config over several seeds, and prints a table of their results.

  python -m vireid_jax.ablate --config configs/mun_synthetic.py --workdir runs/mun \\
      --seeds 0,1,2 base full "full --config.method.metric.name=triplet"

A row is a variant, as after the colon of `--config file.py:`, or 'full' for the file itself,
followed by overrides. Overrides outside a row apply to all rows. Each row and seed is a run of
`vireid_jax.main` in its own workdir, DIR/ROW/seed_0 ...; the same command skips finished runs and
continues the others. `--jobs 2` trains two runs at a time, each on its share of the cores.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
import sys

from vireid_jax import config as config_lib
from vireid_jax.cli import app, output
from vireid_jax.common import files, formats
from vireid_jax.common.errors import printable
from vireid_jax.experiment import ablation


def main(argv: list[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  parser = app.Parser(
    prog="python -m vireid_jax.ablate",
    description="Trains variants of a config over several seeds.",
    epilog="--config.key=value outside a row overrides a value in all rows",
    allow_abbrev=False,
  )
  parser.add_argument(
    "--config", required=True, help="FILE.py or a name, [:VARIANT], that all rows start from"
  )
  parser.add_argument(
    "--workdir", help="folder for ROW/seed_N and table.md; default runs/<config>-ablation"
  )
  parser.add_argument("--seeds", default="0,1,2", help="separated by commas; default 0,1,2")
  parser.add_argument("--jobs", type=app.positive, default=1, help="runs at a time; default 1")
  output.add_format(parser, formats.PAPER_FORMATS)
  parser.add_argument("rows", nargs="+", help="VARIANT or 'full', followed by overrides")
  given = parser.parse_args(argv)
  with output.reserved(given.format):
    text, failed = _run(given)
  print(text)
  return app.EXIT_ERROR if failed else 0


def _run(given: argparse.Namespace) -> tuple[str, bool]:
  """Trains the rows; returns their table, and whether a run failed."""
  rows, seeds = [ablation.parse_row(text) for text in given.rows], ablation.parse_seeds(given.seeds)
  ablation.check(given.config, rows, given.overrides)
  if given.workdir is None:
    given.workdir = str(config_lib.workdir(given.config, "-ablation"))
    print(f"workdir: {given.workdir} (change it with --workdir)", flush=True)
  workdir = files.folder_named(given.workdir, "--workdir")
  failed = ablation.run_all(
    given.config, rows, seeds, workdir, jobs=given.jobs, common=given.overrides
  )
  for message in failed:
    print(printable(message), file=sys.stderr)
  return ablation.write_table(given.config, rows, seeds, workdir, given.format), bool(failed)


if __name__ == "__main__":
  app.start(main)
