"""AGW on LLCM, with the settings of its code for SYSU-MM01; the authors published none for LLCM.

  python -m vireid_jax.main --config configs/agw_llcm.py

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (no non-local, average pooling, triplet), `:smoke` (seconds, on rendered
  images)."""
  config = config_lib.on_dataset("agw_sysu", "llcm")
  return config_lib.apply_variants(config, arg)
