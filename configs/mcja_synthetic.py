"""MCJA, small enough for a laptop, on rendered pedestrians in SYSU-MM01's protocol.

  python -m vireid_jax.main --config configs/mcja_synthetic.py

In the frame of agw_synthetic.py. Its numbers say nothing about real images.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (cross-entropy, no MDA), `:mda` (no retrieval loss), `:retrieval` (no MDA),
  `:smoke` (seconds)."""
  config = config_lib.default_config("mcja", "vireid_synthetic")
  config.data.image_size = (96, 48)
  config.sampler = {"name": "any_modality", "num_identities": 8, "num_instances": 4}
  # Ten pixels of padding, as at full size, would be a fifth of these images' width.
  operations = ("flip()", "pad_crop(padding=4, fill=127)", "normalize()")
  config.augment.visible = ("modality_coordinator()", *operations)
  config.augment.infrared = operations

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
