"""MCJA on LLCM, with the settings of its code for SYSU-MM01; the authors published none for LLCM.

  python -m vireid_jax.main --config configs/mcja_llcm.py

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (cross-entropy, no MDA), `:mda` (no retrieval loss), `:retrieval` (no MDA),
  `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("mcja_sysu", "llcm")
  return config_lib.apply_variants(config, arg)
