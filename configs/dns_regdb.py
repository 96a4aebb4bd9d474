"""DNS on RegDB, with the settings of its published code and logs. Not run on the real data yet.

No erasing after normalisation, no luma among the channels to exchange, and other rates. A full
result is the mean over ten trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/dns_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:strong` (the plain baseline), `:hss`, `:alignment`, `:distillation`, `:no_hss`,
  `:no_css` (the ablation, docs/methods.md), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("dns_sysu", "regdb")
  operations = config.augment.infrared[:-1]
  config.augment.infrared = operations
  config.augment.visible = (*operations, "channel_exchange(probability=0.667)")
  config.optim.lr = 0.1
  config.optim.lr_multipliers = {"backbone": 0.1}
  config.train.steps_per_epoch = 86  # floor(2,060 visible images / 24) + 1, as published
  return config_lib.apply_variants(config, arg)
