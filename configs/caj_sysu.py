"""CAJ on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/caj_sysu.py

8 identities x (4 visible + 4 infrared) images, each visible one in two views, SGD, 100 epochs,
evaluated with mirror images. Erasing and channel operations come after normalising, as published.
Not run on the real data yet. CAJ+ is configs/cajplus_sysu.py.

Reference:
  Ye et al., "Channel Augmented Joint Learning for Visible-Infrared Recognition", ICCV 2021.
"""

from vireid_jax import config as config_lib

PLAIN = ("pad_crop(padding=10, fill=0)", "flip()", "normalize()")
WEAK = (*PLAIN, "random_erasing(value=(0.4914, 0.4822, 0.4465), attempts=100)")


def get_config(arg: str = ""):
  """Variants: `:base` (two plain views and AGW's metric loss), `:wrt` (the published code's option
  'agw': CAJ with AGW's metric loss), `:val` (the 99 val identities are held out and evaluated
  instead of the test set), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("caj", "sysu_mm01")
  config.data.image_size = (288, 144)
  config.sampler.name = "pairs"
  config.sampler.num_identities = 8
  config.sampler.num_instances = 4
  config.augment.visible = WEAK
  config.augment.visible_2 = (*WEAK, "channel_exchange()")
  config.augment.infrared = (*WEAK, "channel_adap_gray(probability=0.5)")

  config.method.depth = 50
  config.method.non_local = (0, 2, 3, 0)
  config.method.pooling = "gem"
  config.method.metric.name = "enhanced_squared_difference"

  config.optim.name = "sgd"
  config.optim.lr = 0.1  # of neck and classifier
  config.optim.lr_multipliers = {"backbone": 0.1}
  config.optim.weight_decay = 5e-4
  config.optim.warmup = "10 epochs"
  config.optim.decay_at = ("20 epochs", "50 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "100 epochs"
  config.train.steps_per_epoch = 696  # floor(22,258 visible images / 32) + 1, as published

  config.eval.flip = True
  return config_lib.apply_variants(config, arg, base=base, val=config_lib.hold_out_val)


def base(config) -> None:
  """Two plain views and AGW's metric loss."""
  config.augment.visible = config.augment.visible_2 = config.augment.infrared = PLAIN
  config.method.metric.name = "wrt_legacy"
