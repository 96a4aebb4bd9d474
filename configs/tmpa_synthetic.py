"""TMPA, small enough for a laptop, on rendered pedestrians in SYSU-MM01's protocol.

  python -m vireid_jax.main --config configs/tmpa_synthetic.py

Five minutes on one core. Expected all-search single-shot rank-1: 49.8 % (seed 0, docs/results.md).
Its numbers say nothing about real images.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mfe`, `:attention`, `:convolution`, `:mft`, `:pedmix` (the ablation,
  docs/methods.md), `:smoke` (seconds).

  Other rows are values, such as `--config.method.pedmix.strategy=cutmix`."""
  config = config_lib.default_config("tmpa", "vireid_synthetic")
  config.data.image_size = (96, 48)
  config.sampler = {"name": "pairs", "num_identities": 8, "num_instances": 4}
  # Ten pixels of padding, as at full size, would be a fifth of these images' width.
  operations = ("pad_crop(padding=4)", "normalize()")
  config.augment.pair = ("flip()",)  # before PedMix, so that the two pedestrians still correspond
  config.augment.visible = config.augment.infrared = operations

  config.method.depth = 18
  config.method.width = 16
  config.method.reduction = 2  # 8 would leave 4 channels per head
  config.method.metric.name = "wrt"
  config.method.pedmix.cam_warmup = "100 steps"

  config.optim.name = "adam"
  config.optim.lr = 8e-3
  config.optim.weight_decay = 1e-4
  config.optim.warmup = "50 steps"
  config.optim.update_every = "step"
  config.optim.decay_at = ("700 steps",)
  config.optim.decay_to = (0.1,)
  config.train.duration = "900 steps"

  config.checkpoint.every = "100 steps"
  config.eval.at_start = True
  return config_lib.apply_variants(config, arg)
