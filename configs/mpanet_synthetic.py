"""MPANet, small enough for a laptop, on rendered pedestrians in SYSU-MM01's protocol.

  python -m vireid_jax.main --config configs/mpanet_synthetic.py

2 min 40 s on two cores. Expected all-search single-shot rank-1: 36.3 % (seed 0, docs/results.md).
Its numbers say nothing about real images.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:pam`, `:separation`, `:center_cluster` (the method built up, each
  with all before it), `:smoke` (seconds)."""
  config = config_lib.default_config("mpanet", "vireid_synthetic")
  config.data.image_size = (96, 48)
  config.sampler = {"name": "groups", "num_identities": 8, "num_instances": 4}
  # Ten pixels of padding, as at full size, would be a fifth of these images' width.
  operations = ("pad_crop(padding=4, fill=127)", "flip()", "normalize()")
  operations += ("random_erasing(area=(0.02, 0.33))",)
  config.augment.visible = config.augment.infrared = operations

  config.method.depth = 18
  config.method.width = 16

  config.optim.name = "adam"
  config.optim.lr = 2e-3
  config.optim.weight_decay = 1e-4
  config.optim.warmup = "50 steps"
  config.optim.update_every = "step"
  config.optim.decay_at = ("700 steps",)
  config.optim.decay_to = (0.1,)
  config.train.duration = "900 steps"

  config.checkpoint.every = "300 steps"
  config.eval.at_start = True
  return config_lib.apply_variants(config, arg)
