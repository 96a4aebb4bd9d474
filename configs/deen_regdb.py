"""DEEN on RegDB, with the settings of its published code: three stages, two of them aggregated, and
smaller erasing. Not run on the real data yet.

A full result is the mean over ten trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/deen_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mfa`, `:dee`, `:cpm` (the method built up, each with all before it),
  `:clean` (position affinities between whole maps), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("deen_sysu", "regdb")
  erasing = "random_erasing(area=(0.02, 0.4), value=(0.485, 0.456, 0.406), attempts=100)"
  config.augment.visible = config.augment.infrared = (*config.augment.visible[:-1], erasing)
  config.method.num_stages = 3
  config.train.steps_per_epoch = 86  # floor(2,060 visible images / 24) + 1, as published
  return config_lib.apply_variants(config, arg)
