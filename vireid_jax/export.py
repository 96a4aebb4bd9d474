"""Exports a checkpoint's retrieval function for programs that have JAX but not this package.

  python -m vireid_jax.export --checkpoint runs/mun --out exported

The folder contains `visible.stablehlo` and `infrared.stablehlo` (jax.export; any batch size; CPU,
CUDA and TPU), `weights.npz`, `card.json` and `reader.py`, which runs them with JAX only (and the
flatbuffers package that jax.export needs). It is written atomically and replaces an earlier export;
a folder with other files is refused. The card has the SHA-256 of the weights and functions, which
the reader checks. `--onnx` adds `visible.onnx` and `infrared.onnx`, for ONNX Runtime and others.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
from collections.abc import Sequence

from vireid_jax.cli import app
from vireid_jax.retrieval.export import export


def _parser() -> argparse.ArgumentParser:
  parser = app.parser("export", "Exports the retrieval function as a portable artifact.")
  parser.add_argument("--out", required=True, type=app.path, help="folder to write")
  parser.add_argument("--raw", action="store_true", help="do not L2-normalise features")
  parser.add_argument(
    "--onnx", action="store_true", help="also write visible.onnx and infrared.onnx, with weights"
  )
  return parser


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  return app.run(_parser(), export, arguments)


if __name__ == "__main__":
  app.start(main)
