"""TMPA on LLCM, with the settings of `tmpa_sysu.py`.

  python -m vireid_jax.main --config configs/tmpa_llcm.py

Not run on the real data yet.
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mfe`, `:attention`, `:convolution`, `:mft`, `:pedmix` (the ablation,
  docs/methods.md), `:smoke` (seconds, on rendered images).

  Other rows are values, such as `--config.method.pedmix.strategy=cutmix`."""
  config = config_lib.on_dataset("tmpa_sysu", "llcm")
  return config_lib.apply_variants(config, arg)
