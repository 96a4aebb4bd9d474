"""CAJ+ on LLCM, with the settings of its code for SYSU-MM01; the authors published none for LLCM.

  python -m vireid_jax.main --config configs/cajplus_llcm.py

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:smoke` (seconds, on rendered images)."""
  config = config_lib.on_dataset("cajplus_sysu", "llcm")
  config.train.steps_per_epoch = 530  # floor(16,946 visible images / 32) + 1, as on SYSU-MM01
  return config_lib.apply_variants(config, arg)
