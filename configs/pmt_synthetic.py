"""PMT, small enough for a laptop, on rendered pedestrians in SYSU-MM01's protocol.

  python -m vireid_jax.main --config configs/pmt_synthetic.py

In the frame of agw_synthetic.py, with AdamW. Its numbers say nothing about real images, and less
about Vision Transformers than about ResNets: these need ImageNet weights.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:progressive`, `:msel`, `:dcl` (the ablation, docs/methods.md), `:smoke`
  (seconds)."""
  config = config_lib.default_config("pmt", "vireid_synthetic")
  config.data.image_size = (96, 48)
  config.sampler = {"name": "distinct_pairs", "num_identities": 8, "num_instances": 4}
  # Ten pixels of padding, as at full size, would be a fifth of these images' width.
  config.augment.visible = ("pad_crop(padding=4)", "flip()", "normalize()")
  config.augment.infrared = ("pad_crop(padding=4)", "flip()", "normalize()")

  config.method.backbone = "vit_ti16"
  config.method.width = 32
  config.method.vit.depth = 4
  config.method.gray_until = "90 steps"

  config.optim.name = "adamw"
  config.optim.lr = 1e-3
  config.optim.weight_decay = 1e-4
  config.optim.warmup = "50 steps"
  config.optim.update_every = "step"
  config.optim.decay_at = ("270 steps",)
  config.optim.decay_to = (0.1,)
  config.train.duration = "350 steps"

  config.checkpoint.every = "100 steps"
  config.eval.at_start = True
  return config_lib.apply_variants(config, arg)
