"""Prints what configs cost, variant by variant.

  python -m vireid_jax.cost configs/tmpa_sysu.py:base configs/tmpa_sysu.py

Nothing is computed and no data set is needed. Parameters in training include the classifiers;
those at test are the ones that the feature of one image of one modality depends on.
"""

from vireid_jax import interrupts

if __name__ == "__main__":
  interrupts.install()  # the imports below take a moment

import argparse
from collections.abc import Sequence

from vireid_jax import command, config_file, methods
from vireid_jax import config as config_lib
from vireid_jax.models.cost import Cost, measure

DEFAULT_CLASSES = 395  # SYSU-MM01's training identities


def cost_of(path: str, classes: int) -> Cost:
  """Measures the method of a config file, 'FILE.py' or 'FILE.py:VARIANT'."""
  config = config_file.load(path)
  config_lib.validate(config)
  config.method.update({"dtype": "float32", "conv_impl": "xla"})
  method = methods.create(config.method, num_classes=classes, steps_per_epoch=1)
  return measure(method, tuple(config.data.image_size))


def table(paths: Sequence[str], classes: int) -> str:
  """Returns a Markdown table with a row per config, in millions and billions."""
  lines = [
    "| config | parameters, training | parameters, test | GFLOPs per image, test |",
    "|---|---|---|---|",
  ]
  for path in paths:
    cost = cost_of(path, classes)
    numbers = f"{cost.trained / 1e6:.2f} M | {cost.used / 1e6:.2f} M | {cost.operations / 1e9:.2f}"
    lines.append(f"| {path} | {numbers} |")
  return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code."""
  parser = command.Parser(prog="python -m vireid_jax.cost", description=__doc__)
  parser.add_argument("configs", nargs="+", help="FILE.py or FILE.py:VARIANT")
  parser.add_argument(
    "--classes", type=command.positive, default=DEFAULT_CLASSES, help="training identities"
  )

  def call(given: argparse.Namespace) -> None:
    print(table(given.configs, given.classes))

  return command.run(parser, call, arguments)


if __name__ == "__main__":
  command.start(main)
