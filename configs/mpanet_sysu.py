"""MPANet on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/mpanet_sysu.py

16 identities x (4 visible + 4 infrared) images, Adam, 140 epochs. Not run on the real data yet.

Reference:
  Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification", CVPR
  2021.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:pam`, `:separation`, `:center_cluster` (the method built up, each
  with all before it), `:val` (the 99 val identities are held out and evaluated instead of the test
  set), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("mpanet", "sysu_mm01")
  config.data.image_size = (384, 128)
  config.data.resize = "bilinear"
  config.sampler = {"name": "groups", "num_identities": 16, "num_instances": 4}
  operations = ("pad_crop(padding=10, fill=127)", "flip()", "normalize()")
  operations += ("random_erasing(area=(0.02, 0.33))",)
  config.augment.visible = config.augment.infrared = operations

  config.method.depth = 50
  config.method.parts = 6
  config.method.margin = 0.7

  config.optim.name = "adam"
  config.optim.lr = 3.5e-4
  config.optim.weight_decay = 5e-4
  config.optim.warmup = ""
  config.optim.decay_at = ("80 epochs", "120 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "140 epochs"
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
