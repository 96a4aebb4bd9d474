"""DNS on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/dns_sysu.py

The margin is that of the published logs; the code's default is 0.45. How to check a run against
these logs is in docs/methods.md. Not run on the real data yet.

Reference:
  Jiang et al., "Domain Shifting: A Generalized Solution for Heterogeneous Cross-Modality Person
  Re-Identification", ECCV 2024.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:strong` (the plain baseline), `:hss`, `:alignment`, `:distillation`, `:no_hss`,
  `:no_css` (the ablation, docs/methods.md), `:val` (the 99 val identities are held out and
  evaluated instead of the test set), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("dns", "sysu_mm01")
  config.data.image_size = (288, 144)
  config.sampler = {"name": "pairs", "num_identities": 6, "num_instances": 4}
  color = "(0.4914, 0.4822, 0.4465)"
  operations = (
    "pad_crop(padding=10)",
    "flip()",
    f"random_erasing(area=(0.02, 0.33), log_aspect=True, value={color})",
    "normalize()",
    f"random_erasing(value={color}, attempts=100)",
  )
  config.augment.infrared = operations
  config.augment.visible = (*operations, "channel_exchange(gray=True, probability=0.667)")

  config.method.depth = 50
  config.method.margin = 0.5

  config.optim.name = "sgd"
  config.optim.lr = 0.2  # of the neck and the classifiers
  config.optim.lr_multipliers = {"layer3": 0.2, "layer4": 0.25, "backbone": 0.1}
  config.optim.weight_decay = 5e-4
  config.optim.schedule = "one_cycle"
  config.optim.update_every = "step"
  config.optim.warmup = "16 epochs"
  config.optim.warmup_from = 1e-4
  config.optim.decay_at = ("100 epochs",)
  config.optim.decay_to = (0.0,)
  config.train.duration = "100 epochs"
  config.train.steps_per_epoch = 928  # floor(22,258 visible images / 24) + 1, as published
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
