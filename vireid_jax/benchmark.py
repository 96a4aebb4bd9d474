"""Measures the parts whose speed matters: `python -m vireid_jax.benchmark ranking`.

A benchmark is a function of the parsed arguments that prints what it finds and returns plain
values; `BENCHMARKS` names them, and a module that brings one adds its own flags.
"""

from vireid_jax import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import argparse
import json
import pathlib

from vireid_jax import command as command_lib
from vireid_jax.data import benchmark as input_benchmark
from vireid_jax.evaluators import benchmark as ranking_benchmark
from vireid_jax.evaluators import benchmark_reranking
from vireid_jax.speed import embed, floor, step

# name -> (one line of help, function adding flags to a parser, function running it)
BENCHMARKS = {
  "ranking": (
    "SYSU-MM01's evaluation at its real size, on random features",
    ranking_benchmark.add_arguments,
    ranking_benchmark.run,
  ),
  "reranking": (
    "SYSU-MM01's all-search single-shot evaluation, re-ranked, at its real size",
    benchmark_reranking.add_arguments,
    benchmark_reranking.run,
  ),
  "step": (
    "whole training steps of some configs, in turn, on random images",
    step.add_arguments,
    step.run,
  ),
  "floor": (
    "operations and bytes of training steps as the compiler counts them; nothing is run",
    floor.add_arguments,
    floor.run,
  ),
  "embed": (
    "retrieval features of some configs, in turn, of random images",
    embed.add_arguments,
    embed.run,
  ),
  "input": (
    "filling the image cache, gathering and augmenting batches",
    input_benchmark.add_arguments,
    input_benchmark.run,
  ),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
  """Reads the command line; `arguments` defaults to that of the process."""
  parser = command_lib.Parser(prog="python -m vireid_jax.benchmark", description=__doc__)
  commands = parser.add_subparsers(dest="benchmark", required=True)
  for name, (summary, add_arguments, run) in BENCHMARKS.items():
    command = commands.add_parser(name, help=summary, description=summary)
    command.add_argument("--json", type=pathlib.Path, help="also write the numbers to this file")
    command.set_defaults(run=run)
    add_arguments(command)
  return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict:
  """Runs one benchmark, prints its numbers, and returns them."""
  options = parse(arguments)
  if options.json:  # before minutes of measuring, not after
    command_lib.check_file(options.json, "--json")
  numbers = options.run(options)
  if options.json:
    with command_lib.new_file(options.json, "--json") as file:
      file.write(json.dumps(numbers, indent=2).encode() + b"\n")
  return numbers


def _main() -> None:
  main()  # its numbers are no exit code


if __name__ == "__main__":
  command_lib.start(_main)
