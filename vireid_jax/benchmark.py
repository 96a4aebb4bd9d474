"""Measures speed: `python -m vireid_jax.benchmark ranking`.

A benchmark is a function of the parsed arguments that prints its measurements and returns them as
plain values. `BENCHMARKS` lists all; the module of a benchmark adds its flags.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
import json
import pathlib

from vireid_jax.cli import app
from vireid_jax.common import files, progress
from vireid_jax.speed.benchmarks import BENCHMARKS


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
  """Parses the command line; `arguments` defaults to the process's."""
  parser = app.Parser(prog="python -m vireid_jax.benchmark", description=__doc__)
  commands = parser.add_subparsers(dest="benchmark", required=True)
  for name, (summary, add_arguments, run) in BENCHMARKS.items():
    command = commands.add_parser(name, help=summary, description=summary)
    command.add_argument(
      "--json", type=pathlib.Path, help="also write the measurements to this file"
    )
    command.set_defaults(run=run)
    add_arguments(command)
  return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict:
  """Runs one benchmark, prints its measurements, and returns them."""
  options = parse(arguments)
  if options.json:  # before minutes of measuring, not after
    files.check_file(options.json, "--json")
  with progress.show(f"benchmark {options.benchmark}"):
    numbers = options.run(options)
  if options.json:
    with files.new_file(options.json, "--json") as file:
      file.write(json.dumps(numbers, indent=2).encode() + b"\n")
  return numbers


def _main() -> None:
  main()  # its result is not an exit code


if __name__ == "__main__":
  app.start(_main)
