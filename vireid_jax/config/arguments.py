"""Command-line arguments that name several configs."""

import argparse

from vireid_jax.common.errors import UserError


class _Append(argparse.Action):
  """Collects positional values and values of the option in one list."""

  def __call__(self, parser, namespace, values, option_string=None):
    """Appends one value, or several."""
    del parser, option_string
    before = getattr(namespace, self.dest, None) or []
    setattr(namespace, self.dest, [*before, *([values] if isinstance(values, str) else values)])


def add_configs(parser: argparse.ArgumentParser) -> None:
  """Adds `configs`: one or more, each with or without --config before it."""
  parser.add_argument("configs", nargs="*", action=_Append, help="FILE.py, or a name, [:VARIANT]")
  parser.add_argument(
    "--config",
    dest="configs",
    metavar="CONFIG",
    action=_Append,
    help="the same; --config.key=value overrides a value in all of them",
  )


def configs(options: argparse.Namespace) -> list[str]:
  """Returns the given configs; raises UserError if there are none."""
  if not options.configs:
    raise UserError(
      "the following arguments are required: configs; for example configs/agw_synthetic.py:smoke"
    )
  return options.configs
