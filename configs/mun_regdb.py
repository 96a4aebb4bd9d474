"""MUN on RegDB, with the settings of `mun_sysu.py`. Not run on the real data yet.

A full result is the mean over ten trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/mun_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:cross`, `:intra`, `:fixed_ratio`, `:layer_scale`, `:identity_alignment`,
  `:modality_alignment`, `:one_kernel`, `:no_accumulation`, `:no_bridge`, `:gray`, `:pixel_mix` (the
  ablation, docs/methods.md), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("mun_sysu", "regdb")
  return config_lib.apply_variants(config, arg)
