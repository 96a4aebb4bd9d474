"""CAJ on RegDB, with the settings of its published code. Not run on the real data yet.

A full result is the mean over ten trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/caj_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:wrt` (AGW's metric loss), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("caj_sysu", "regdb")
  config.train.steps_per_epoch = 65  # floor(2,060 visible images / 32) + 1, as published
  return config_lib.apply_variants(config, arg)
