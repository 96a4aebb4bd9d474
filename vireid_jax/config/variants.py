"""Variants of a config: the names after the colon in `--config file.py:variant`."""

import functools
from collections.abc import Callable, Mapping

from ml_collections import ConfigDict

from vireid_jax.common.errors import choose
from vireid_jax.config.datasets import use_own


def smoke(config: ConfigDict) -> None:
  """Makes a run of seconds: a tiny network, four steps, rendered images, the same protocol."""
  from vireid_jax import methods  # here, as in `default_config`

  if config.data.name.startswith("vireid_synthetic"):
    config.data.name = "vireid_synthetic/smoke"
  else:
    config.data.render = "smoke"
  config.data.image_size = (48, 24)
  config.sampler.num_identities = 4
  config.sampler.num_instances = 2
  config.method.update(methods.smallest(config.method.name))
  config.train.duration = "4 steps"
  config.train.steps_per_epoch = 0
  config.checkpoint.every = "2 steps"
  config.eval.batch = 32
  config.log.every = "2 steps"
  if "trials" in config.eval.protocol:
    config.eval.protocol.trials = 2


def hold_out_val(config: ConfigDict) -> None:
  """Holds out the val identities and evaluates on them, to choose settings without the test set."""
  config.data.train_splits = ("train",)
  config.train.steps_per_epoch = 0  # fewer images have a shorter epoch
  config.eval.split = "val"
  if "galleries" in config.eval.protocol:
    # The official gallery draws cover the test identities only.
    config.eval.protocol.galleries = ("random_choice",)


def apply_variants(
  config: ConfigDict, arg: str, **variants: Callable[[ConfigDict], None]
) -> ConfigDict:
  """Applies the variants named after the colon in `--config file.py:variant,variant`.

  Args:
    config: Config; changed in place.
    arg: Names separated by commas; may be empty. 'smoke', 'own' and the `VARIANTS` of the method's
      module always exist.
    **variants: Further variants: name -> function that changes the config.

  Returns:
    The config.

  Raises:
    UserError: Unknown variant.
  """
  from vireid_jax import methods  # here, as in `default_config`

  of_method = _method_variants(methods.variants(config.method.name))
  variants = {"smoke": smoke, "own": use_own, **of_method, **variants}
  for name in filter(None, arg.split(",")):
    choose(name, variants, "config variant")(config)
  return config


def _method_variants(table: Mapping[str, Mapping]) -> dict[str, Callable[[ConfigDict], None]]:
  """Returns a variant for each entry of a method's `VARIANTS`."""
  return {
    name: functools.partial(lambda config, options: config.method.update(options), options=options)
    for name, options in table.items()
  }
