"""AGW on one's own pictures (docs/own_data.md), with the settings of AGW's code for SYSU-MM01.

Another method's settings serve as well: `configs/mun_llcm.py:own` is MUN on these pictures.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (no non-local, average pooling, triplet), `:val` (evaluates on split val),
  `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("agw", "own")
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
  return config_lib.apply_variants(config, arg, base=base, val=config_lib.hold_out_val)


def base(config) -> None:
  """The plain two-stream baseline."""
  config.method.non_local = (0, 0, 0, 0)
  config.method.pooling = "average"
  config.method.metric.name = "triplet"
