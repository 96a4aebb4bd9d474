"""AGW on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/agw_sysu.py

8 identities x (4 visible + 4 infrared) images, SGD, 80 epochs, crop and flip only. Not run on the
real data yet.

Reference:
  Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", TPAMI 2021.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (no non-local, average pooling, triplet), `:val` (the 99 val identities are
  held out and evaluated instead of the test set), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("agw", "sysu_mm01")
  config.data.image_size = (288, 144)
  config.sampler.name = "pairs"
  config.sampler.num_identities = 8
  config.sampler.num_instances = 4

  config.method.depth = 50
  config.method.non_local = (0, 2, 3, 0)
  config.method.pooling = "gem"
  config.method.metric.name = "wrt_legacy"

  config.optim.name = "sgd"
  config.optim.lr = 0.1  # of neck and classifier
  config.optim.lr_multipliers = {"backbone": 0.1}
  config.optim.weight_decay = 5e-4
  config.optim.warmup = "10 epochs"
  config.optim.decay_at = ("20 epochs", "50 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "80 epochs"
  config.train.steps_per_epoch = 696  # floor(22,258 visible images / 32) + 1, as published
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
