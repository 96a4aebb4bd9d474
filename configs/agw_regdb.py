"""AGW on RegDB, with the settings of its published code.

A full result is the mean over ten models: python -m vireid_jax.splits.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (no non-local, average pooling, triplet), `:smoke` (seconds, on rendered
  images)."""
  config = config_lib.default_config("agw", "regdb")
  config.data.trial = 1
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
  config.train.steps_per_epoch = 65  # floor(2,060 visible images / 32) + 1, as published
  return config_lib.apply_variants(config, arg, base=base)


def base(config) -> None:
  """The plain two-stream baseline."""
  config.method.non_local = (0, 0, 0, 0)
  config.method.pooling = "average"
  config.method.metric.name = "triplet"
