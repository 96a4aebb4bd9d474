"""MUN on LLCM, with the settings of `mun_sysu.py`.

  python -m vireid_jax.main --config configs/mun_llcm.py

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:cross`, `:intra`, `:fixed_ratio`, `:layer_scale`, `:identity_alignment`,
  `:modality_alignment`, `:one_kernel`, `:no_accumulation`, `:no_bridge`, `:gray`, `:pixel_mix` (the
  ablation, docs/methods.md), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("mun_sysu", "llcm")
  return config_lib.apply_variants(config, arg)
