"""SAAI on LLCM, with the settings of its code for SYSU-MM01; the authors published none for LLCM.

  python -m vireid_jax.main --config configs/saai_llcm.py

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mam`, `:parts`, `:diversity`, `:center` (the method built up, each with
  all before it), `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("saai_sysu", "llcm")
  return config_lib.apply_variants(config, arg)
