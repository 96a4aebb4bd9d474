"""MUN on SYSU-MM01.

  python -m vireid_jax.main --config configs/mun_sysu.py

The settings around the method are those of AGW, with erasing and grey or single-channel visible
images. Not run on the real data yet.

Reference:
  Yu et al., "Modality Unifying Network for Visible-Infrared Person Re-Identification", ICCV 2023.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:cross`, `:intra`, `:fixed_ratio`, `:layer_scale`, `:identity_alignment`,
  `:modality_alignment`, `:one_kernel`, `:no_accumulation`, `:no_bridge`, `:gray`, `:pixel_mix` (the
  ablation, docs/methods.md), `:val` (the 99 val identities are held out and evaluated instead
  of the test set), `:smoke` (seconds, on rendered images)."""
  config = config_lib.default_config("mun", "sysu_mm01")
  config.data.image_size = (288, 144)
  config.sampler = {"name": "pairs", "num_identities": 8, "num_instances": 4}
  config.augment.visible = (
    "pad_crop(padding=10)",
    "flip()",
    "channel_adap_gray()",
    "normalize()",
    "random_erasing()",
  )
  config.augment.infrared = ("pad_crop(padding=10)", "flip()", "normalize()", "random_erasing()")

  config.method.depth = 50
  config.method.pooling = "gem"
  config.method.metric.name = "wrt"

  config.optim.name = "sgd"
  config.optim.lr = 0.1  # of the generator, neck and classifier
  config.optim.lr_multipliers = {"backbone": 0.1}
  config.optim.weight_decay = 5e-4
  config.optim.warmup = "10 epochs"
  config.optim.decay_at = ("20 epochs", "50 epochs")
  config.optim.decay_to = (0.1, 0.01)
  config.train.duration = "80 epochs"
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
