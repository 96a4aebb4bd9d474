"""Measures speed: `python -m vireid_jax.benchmark ranking`.

A benchmark measures with the parsed arguments, returns plain values, and describes them.
`BENCHMARKS` lists all; the module of a benchmark adds its flags.
"""

from vireid_jax.common import interrupts

if __name__ == "__main__":
  interrupts.install()  # before slow imports

import argparse
import json
import pathlib
from types import ModuleType

from vireid_jax.cli import app, output
from vireid_jax.common import files, formats, progress
from vireid_jax.speed.benchmarks import BENCHMARKS


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
  """Parses the command line; `arguments` defaults to the process's."""
  parser = app.Parser(prog="python -m vireid_jax.benchmark", description=__doc__)
  commands = parser.add_subparsers(dest="benchmark", required=True)
  for name, benchmark in BENCHMARKS.items():
    summary = benchmark.summary
    command = commands.add_parser(name, help=summary, description=summary)
    command.add_argument(
      "--json", type=pathlib.Path, help="also write the measurements to this file"
    )
    output.add_format(command)
    benchmark.module.add_arguments(command)
  return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict:
  """Runs one benchmark, prints its measurements, and returns them."""
  options = parse(arguments)
  if options.json:  # before minutes of measuring, not after
    files.check_file(options.json, "--json")
  module = BENCHMARKS[options.benchmark].module
  with output.reserved(options.format), progress.show(f"benchmark {options.benchmark}"):
    numbers = module.run(options)
  print(_described(options, module, numbers))
  if options.json:
    with files.new_file(options.json, "--json") as file:
      file.write(json.dumps(numbers, indent=2).encode() + b"\n")
  return numbers


def _described(options: argparse.Namespace, module: ModuleType, numbers: dict) -> str:
  """Returns the measurements in the format of --format."""
  if options.format == formats.TABLE:
    return module.text(numbers)
  columns, rows = module.columns(numbers), module.rows(numbers)
  command = f"benchmark {options.benchmark}"
  return formats.written(options.format, command, columns, rows, measurements=numbers)


def _main() -> None:
  main()  # its result is not an exit code


if __name__ == "__main__":
  app.start(_main)
