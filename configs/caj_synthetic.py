"""CAJ, small enough for a laptop, on rendered pedestrians in SYSU-MM01's protocol.

  python -m vireid_jax.main --config configs/caj_synthetic.py

In the frame of agw_synthetic.py. Its numbers say nothing about real images.
"""

from vireid_jax import config as config_lib

# Ten pixels of padding, as at full size, would be a fifth of these images' width.
PLAIN = ("pad_crop(padding=4)", "flip()", "normalize()")
WEAK = (*PLAIN, "random_erasing(value=(0.4914, 0.4822, 0.4465), attempts=100)")


def get_config(arg: str = ""):
  """Variants, the method built up: `:base` (two plain views, AGW's metric loss), `:erasing`,
  `:wrt` (with channel operations too: all but CAJ's metric loss), and `:smoke` (seconds)."""
  config = config_lib.default_config("caj", "vireid_synthetic")
  config.data.image_size = (96, 48)
  config.sampler.num_identities = 8
  config.sampler.num_instances = 4
  config.augment.visible = WEAK
  config.augment.visible_2 = (*WEAK, "channel_exchange()")
  config.augment.infrared = (*WEAK, "channel_adap_gray(probability=0.5)")

  config.method.depth = 18
  config.method.width = 16

  config.optim.name = "adam"
  config.optim.lr = 2e-3
  config.optim.weight_decay = 1e-4
  config.optim.warmup = "50 steps"
  config.optim.update_every = "step"
  config.optim.decay_at = ("270 steps",)
  config.optim.decay_to = (0.1,)
  config.train.duration = "350 steps"

  config.checkpoint.every = "100 steps"
  config.eval.at_start = True
  config.eval.flip = True
  return config_lib.apply_variants(config, arg, base=base, erasing=erasing)


def base(config) -> None:
  """Two plain views and AGW's metric loss."""
  config.augment.visible = config.augment.visible_2 = config.augment.infrared = PLAIN
  config.method.metric.name = "wrt_legacy"


def erasing(config) -> None:
  """Erased views, without channel operations, and AGW's metric loss."""
  config.augment.visible = config.augment.visible_2 = config.augment.infrared = WEAK
  config.method.metric.name = "wrt_legacy"
