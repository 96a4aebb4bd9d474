"""PMT on RegDB, with the settings of its published code. Not run on the real data yet.

A full result is the mean over ten trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/pmt_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:progressive`, `:msel`, `:dcl` (the ablation, docs/methods.md), `:smoke`
  (seconds, on rendered images)."""
  config = config_lib.on_dataset("pmt_sysu", "regdb")
  config.optim.decay_at = ("36 epochs",)
  config.train.duration = "36 epochs"
  config.train.steps_per_epoch = 65  # floor(2,060 visible images / 32) + 1, as published
  return config_lib.apply_variants(config, arg)
