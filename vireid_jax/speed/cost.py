"""Tables of the methods' costs: parameters and operations."""

from collections.abc import Mapping, Sequence

from vireid_jax import config as config_lib
from vireid_jax.common import table as table_lib
from vireid_jax.common.formats import Column
from vireid_jax.config import checks
from vireid_jax.config.parts import make_method
from vireid_jax.models.numerics import PORTABLE
from vireid_jax.speed.count import Cost, measure

COLUMNS = (
  Column("config"),
  Column("parameters_training"),
  Column("parameters_test"),
  Column("flops_per_image", "flops"),
)


def cost_of(path: str, classes: int, overrides: Sequence[str] = ()) -> Cost:
  """Measures the cost of a config's method; see `config.load` for its name and overrides."""
  config = config_lib.load(path, overrides)
  checks.validate(config)
  config.numerics.update(PORTABLE)
  method = make_method(config, num_classes=classes, steps_per_epoch=1)
  return measure(method, tuple(config.data.image_size))


def table(costs: Mapping[str, Cost]) -> str:
  """Returns a Markdown table of costs by config, in millions and GFLOPs."""
  head = ("config", "parameters, training", "parameters, test", "GFLOPs per image, test")
  return table_lib.markdown(head, [_row(path, cost) for path, cost in costs.items()], "lrrr")


def rows(costs: Mapping[str, Cost]) -> list[dict]:
  """Returns the values of `COLUMNS` for each config."""
  return [
    {
      "config": path,
      "parameters_training": cost.trained,
      "parameters_test": cost.used,
      "flops_per_image": cost.operations,
    }
    for path, cost in costs.items()
  ]


def _row(path: str, cost: Cost) -> tuple[str, ...]:
  millions = (f"{count / 1e6:.2f} M" for count in (cost.trained, cost.used))
  return path, *millions, f"{cost.operations / 1e9:.2f}"
