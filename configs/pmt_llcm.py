"""PMT on LLCM, with the settings of its code for SYSU-MM01; the authors published none for LLCM.

  python -m vireid_jax.main --config configs/pmt_llcm.py \\
      --config.pretrained=hf://timm/vit_base_patch16_224.orig_in21k_ft_in1k

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:progressive`, `:msel`, `:dcl` (the ablation, docs/methods.md), `:smoke`
  (seconds, on rendered images)."""
  config = config_lib.on_dataset("pmt_sysu", "llcm")
  config.train.steps_per_epoch = 530  # floor(16,946 visible images / 32) + 1, as on SYSU-MM01
  return config_lib.apply_variants(config, arg)
