"""SAAI on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/saai_sysu.py

10 identities x (4 visible + 4 infrared) images, Adam, 160 epochs. Its affinity inference is an
option of evaluation, transductive: add --config.eval.affinity=True. Not run on the real data yet.

Reference:
  Fang, Yang, Fu, "Visible-Infrared Person Re-Identification via Semantic Alignment and Affinity
  Inference", ICCV 2023.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:parts`, `:diversity`, `:center` (the method built up, each with
  all before it), `:val` (the 99 val identities are held out and evaluated instead of the test set),
  `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("saai", "sysu_mm01")
  config.data.image_size = (288, 144)
  config.data.resize = "bilinear"
  config.sampler = {"name": "groups", "num_identities": 10, "num_instances": 4}
  # Published as flip, pad, crop, which is the same. The area is torchvision's.
  config.augment.visible = config.augment.infrared = (
    "pad_crop(padding=10, mirror=True)",
    "flip()",
    "channel_exchange(probability=0.2727)",  # 3 / 11
    "normalize()",
    "random_erasing(area=(0.02, 0.33), log_aspect=True, noise=True)",
  )

  config.method.depth = 50
  config.method.mam = True
  config.method.parts = 7
  config.method.margin = 0.7

  config.optim.name = "adam"
  config.optim.lr = 3.5e-4
  config.optim.weight_decay = 5e-4
  config.optim.warmup = "10 epochs"
  config.optim.decay_at = ("80 epochs", "120 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "160 epochs"
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
