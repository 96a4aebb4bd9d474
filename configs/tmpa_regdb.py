"""TMPA on RegDB, with the settings of `tmpa_sysu.py`. Not run on the real data yet.

A full result is the mean over ten trials, each with a model of its own:

  python -m vireid_jax.splits --config configs/tmpa_regdb.py
"""

from vireid_jax import config as config_lib


def get_config(arg: str = ""):
  """Variants: `:base`, `:mfe`, `:attention`, `:convolution`, `:mft`, `:pedmix` (the ablation,
  docs/methods.md), `:smoke` (seconds, on rendered images).

  Other rows are values, such as `--config.method.pedmix.strategy=cutmix`."""
  config = config_lib.on_dataset("tmpa_sysu", "regdb")
  return config_lib.apply_variants(config, arg)
