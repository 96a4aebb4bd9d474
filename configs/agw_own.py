"""AGW on pictures of your own (docs/own_data.md), with the settings of its code for SYSU-MM01.

  python -m vireid_jax.main --config configs/agw_own.py

Another method's settings serve as well: `configs/mun_llcm.py:own` is MUN on these pictures.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base` (no non-local, average pooling, triplet), `:val` (evaluates on split val),
  `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("agw_sysu", "own")
  return config_lib.apply_variants(config, arg, val=config_lib.hold_out_val)
