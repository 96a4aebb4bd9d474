"""SAAI, small enough for a laptop, on rendered pedestrians in SYSU-MM01's protocol.

  python -m vireid_jax.main --config configs/saai_synthetic.py

No data to ask for, minutes on two cores, in the frame of agw_synthetic.py. Its numbers say nothing
about real images.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:parts`, `:diversity`, `:center` (the method built up, each with
  all before it), `:smoke` (seconds)."""
  config = config_lib.default_config("saai", "vireid_synthetic")
  config.data.image_size = (96, 48)
  config.sampler = {"name": "groups", "num_identities": 8, "num_instances": 4}
  # Ten pixels of padding, as at full size, would be a fifth of these images' width.
  config.augment.visible = ("pad_crop(padding=4)", "flip()", "normalize()")
  config.augment.infrared = ("pad_crop(padding=4)", "flip()", "normalize()")

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
  return config_lib.apply_variants(config, arg)
