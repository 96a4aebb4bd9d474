"""Writes a checkpoint's retrieval function for programs that have JAX and nothing of ours.

  python -m vireid_jax.export --checkpoint runs/mun --out exported

The folder receives `visible.stablehlo` and `infrared.stablehlo` (jax.export, any batch size, CPU,
CUDA and TPU), `weights.npz`, `card.json` and `reader.py`, which runs them with jax alone (and the
flatbuffers that jax.export asks for). It appears as a whole: an earlier export of that name is
replaced in one step, and a folder with other files is refused. The card holds the SHA-256 of the
weights and the functions, which the reader checks.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.retrieval.export import export


def _parser() -> argparse.ArgumentParser:
  parser = app.parser("export", "Writes the retrieval function as a portable artifact.")
  parser.add_argument("--out", required=True, type=app.place, help="folder to write")
  parser.add_argument("--raw", action="store_true", help="do not scale features to unit length")
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), export, arguments)


if __name__ == "__main__":
  app.start(main)
