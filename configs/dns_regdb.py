"""DNS on RegDB, with the settings of its published code and logs.

No erasing after normalisation, three rates and a lower one than on SYSU-MM01. A full result is the
mean over ten models: vireid splits.
"""

from vireid_jax import config as config_lib
from vireid_jax.methods import dns


def get_config(arg: str = ""):
  """Variants: `:strong` (the plain baseline), `:hss`, `:alignment`, `:distillation`, `:no_hss`,
  `:no_css` (the ablation, docs/methods.md), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("dns", "regdb")
  config.data.trial = 1
  config.data.image_size = (288, 144)
  config.sampler = {"name": "pairs", "num_identities": 6, "num_instances": 4}
  operations = (
    "pad_crop(padding=10)",
    "flip()",
    "random_erasing(area=(0.02, 0.33), log_aspect=True, value=(0.4914, 0.4822, 0.4465))",
    "normalize()",
  )
  config.augment.infrared = operations
  config.augment.visible = (*operations, "channel_exchange(probability=0.667)")

  config.method.depth = 50
  config.method.margin = 0.5

  config.optim.name = "sgd"
  config.optim.lr = 0.1  # of the neck and the classifiers
  config.optim.lr_multipliers = {"backbone": 0.1}
  config.optim.weight_decay = 5e-4
  config.optim.schedule = "one_cycle"
  config.optim.update = "step"
  config.optim.warmup = "16 epochs"
  config.optim.warmup_from = 1e-4
  config.optim.decay_at = ("100 epochs",)
  config.optim.decay_to = (0.0,)
  config.train.duration = "100 epochs"
  config.train.steps_per_epoch = 86  # floor(2,060 visible images / 24) + 1, as published
  variants = config_lib.method_variants(dns.VARIANTS)
  return config_lib.apply_variants(config, arg, **variants)
