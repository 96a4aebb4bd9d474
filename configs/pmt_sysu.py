"""PMT on SYSU-MM01, with the settings of its published code.

  python -m vireid_jax.main --config configs/pmt_sysu.py \\
      --config.pretrained=hf://timm/vit_base_patch16_224.orig_in21k_ft_in1k

A ViT-B/16 with overlapping patches, 8 identities x (4 visible + 4 infrared) different images,
AdamW, 24 epochs, of which 6 with gray visible images. Not run on the real data yet.

Reference:
  Lu et al., "Learning Progressive Modality-shared Transformers for Effective Visible-Infrared
  Person Re-identification", AAAI 2023.
"""

from vireid_jax import config as config_lib

ERASING = "random_erasing(value=(0.485, 0.456, 0.406), attempts=100)"


def get_config(arg: str = ""):
  """Variants: `:base`, `:progressive`, `:msel`, `:dcl` (the ablation, docs/methods.md), `:val` (the
  99 val identities are held out and evaluated instead of the test set), `:smoke` (seconds, on
  rendered images)."""
  config = config_lib.default_config("pmt", "sysu_mm01")
  config.data.image_size = (256, 128)
  config.data.resize = "bilinear"
  config.sampler = {"name": "distinct_pairs", "num_identities": 8, "num_instances": 4}
  config.augment.visible = ("flip()", "normalize()", ERASING)
  config.augment.infrared = ("flip()", "jitter_or_blur()", "normalize()", ERASING)

  config.method.backbone = "vit_b16"
  config.method.vit.stride = 12
  config.method.gray_until = "6 epochs"

  config.optim.name = "adamw"
  config.optim.lr = 3e-4
  config.optim.lr_multipliers = {"patch_embed": 0.5, "blocks": 0.5}
  config.optim.weight_decay = 1e-4
  config.optim.schedule = "cosine"
  config.optim.warmup = "3 epochs"
  config.optim.warmup_from = 0.01
  config.optim.decay_at = ("24 epochs",)
  config.optim.decay_to = (0.01,)
  config.train.duration = "24 epochs"
  config.train.steps_per_epoch = 696  # floor(22,258 visible images / 32) + 1, as published
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
