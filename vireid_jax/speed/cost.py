"""Table of the methods' costs: parameters and operations."""

from collections.abc import Sequence

from vireid_jax import config as config_lib
from vireid_jax.common import table as table_lib
from vireid_jax.config import checks
from vireid_jax.config.parts import make_method
from vireid_jax.models.numerics import PORTABLE
from vireid_jax.speed.count import Cost, measure


def cost_of(path: str, classes: int, overrides: Sequence[str] = ()) -> Cost:
  """Measures the cost of a config's method; see `config.load` for its name and overrides."""
  config = config_lib.load(path, overrides)
  checks.validate(config)
  config.numerics.update(PORTABLE)
  method = make_method(config, num_classes=classes, steps_per_epoch=1)
  return measure(method, tuple(config.data.image_size))


def table(paths: Sequence[str], classes: int, overrides: Sequence[str] = ()) -> str:
  """Returns a Markdown table with a row per config, in millions and GFLOPs."""
  head = ("config", "parameters, training", "parameters, test", "GFLOPs per image, test")
  rows = [_row(path, cost_of(path, classes, overrides)) for path in paths]
  return table_lib.markdown(head, rows, "lrrr")


def _row(path: str, cost: Cost) -> tuple[str, ...]:
  millions = (f"{count / 1e6:.2f} M" for count in (cost.trained, cost.used))
  return path, *millions, f"{cost.operations / 1e9:.2f}"
