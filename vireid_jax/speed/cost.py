"""What the methods of configs cost: parameters and operations."""

from collections.abc import Sequence

from vireid_jax import config as config_lib
from vireid_jax import methods
from vireid_jax.config import checks
from vireid_jax.speed.count import Cost, measure


def cost_of(path: str, classes: int) -> Cost:
  """Measures the method of a config file, 'FILE.py' or 'FILE.py:VARIANT'."""
  config = config_lib.load(path)
  checks.validate(config)
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
